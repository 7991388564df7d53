// What draws a scene without a graphics card: the colour of the vertex and the thing, the suns and the sky on it, the haze
// before it. No roughness, no reflections, no shadows: a pixel costs a tenth of what physically based light does.

#import bevy_pbr::{
    fog::linear_fog,
    forward_io::VertexOutput,
    mesh_view_bindings::{fog, lights, view},
}

struct Look {
    color: vec4<f32>,
    glow: vec4<f32>,
    // 1: light falls on it; 0: it has its colour as it is.
    lit: f32,
}

@group(#{MATERIAL_BIND_GROUP}) @binding(0) var<uniform> look: Look;

const PI: f32 = 3.14159265;

@fragment
fn fragment(in: VertexOutput) -> @location(0) vec4<f32> {
    var color = look.color;
#ifdef VERTEX_COLORS
    color *= in.color;
#endif
    if look.lit > 0.5 {
        var light = lights.ambient_color.rgb;
        let normal = normalize(in.world_normal);
        for (var i = 0u; i < lights.n_directional_lights; i++) {
            let sun = &lights.directional_lights[i];
            light += (*sun).color.rgb * max(dot(normal, (*sun).direction_to_light), 0.0) / PI;
        }
        color = vec4(color.rgb * light * view.exposure + look.glow.rgb, color.a);
    }
    return linear_fog(fog, color, length(view.world_position - in.world_position.xyz), vec3(0.0));
}
