//! What the devices of a group share, made from the plan once.

use crate::{
    carry::place_prefix,
    catalog::{
        AdcDef, AnalogDef, BoardDef, BusDef, Catalog, ChannelDef, Firmware, PartDef, SensorDef, ThingDef,
    },
    clock::ClockPlan,
    dialect::Dialect,
    firmware::payload::Codec,
    link::LinkPlan,
    local::is_supply,
    plan::{GroupPlan, Plan},
    power::{Supply, bank::PackPlan},
    run::epoch_unix_ms,
    scenario::{OUTDOORS, PayloadDef, PublishDef},
    sense::{
        bank::OwnSupply,
        convert::Outlet,
        fault::reach::{Wired, wired},
    },
    signal::SignalId,
    time::Span,
    world::{Truth, TruthId},
};

/// How a part on an analogue pin is read.
#[derive(Debug)]
pub(super) struct Analog {
    /// The converter, in the range that the part asks for.
    pub(super) adc: AdcDef,
    pub(super) law: AnalogDef,
    /// The board's, [V].
    pub(super) logic_v: f64,
    /// What a divider between them leaves of the part's voltage.
    pub(super) share: f64,
    pub(super) own_supply: bool,
}

/// A channel as all devices of a group share it.
#[derive(Debug)]
pub(crate) struct ChannelPlan {
    /// `part.quantity`.
    pub name: String,
    pub(in crate::sense) part: String,
    pub(in crate::sense) def: ChannelDef,
    pub(super) min_interval: Span,
    pub(super) conversion: Span,
    pub(in crate::sense) warm_up: Span,
    pub(super) analog: Option<Analog>,
    /// Of a part at an input of another part of the device.
    pub(super) outlet: Option<Outlet>,
    pub(in crate::sense) supply: Option<OwnSupply>,
    /// How far its input reaches, [V].
    pub(in crate::sense) reach_v: (f64, f64),
}

impl ChannelPlan {
    fn new(part: &PartDef, sensor: &SensorDef, def: &ChannelDef, at: &Wiring<'_>) -> Self {
        // An input of another part is that one's business.
        let board = at.board.filter(|_| part.on.converter().is_none());
        let analog = match (&sensor.bus, board, def.analog) {
            (BusDef::Analog, Some(BoardDef { adc: Some(adc), logic_v, .. }), Some(law)) => {
                let ranged = part.range.as_ref().and_then(|name| adc.in_range(name));
                let adc = ranged.unwrap_or_else(|| adc.clone());
                let share = share(part, sensor, adc.reference_v, *logic_v);
                Some(Analog { adc, law, logic_v: *logic_v, share, own_supply: part.own_supply })
            }
            _ => None,
        };
        let supply = match def.quantity.as_str() {
            quantity if !is_supply(quantity) => None,
            // What one actuator takes it has of its own; what feeds it is the device's supply.
            "current" => part.of.is_none().then_some(OwnSupply::Current),
            _ => Some(OwnSupply::Voltage),
        };
        let mut fed = def.fed(at.fed_v(part, sensor));
        if !part.cold {
            fed.unsettled = Span::ZERO;
        }
        Self {
            name: format!("{}.{}", part.id, def.quantity),
            part: part.id.clone(),
            def: fed,
            min_interval: sensor.min_interval,
            conversion: sensor.conversion,
            warm_up: sensor.warm_up,
            analog,
            outlet: at.outlet(part, sensor, def),
            supply,
            reach_v: def.reach_v(at.fed_v(part, sensor)),
        }
    }
}

/// What a divider before a converter leaves of a part's voltage: as much as is read.
fn share(part: &PartDef, sensor: &SensorDef, reads_v: f64, logic_v: f64) -> f64 {
    let out_v = sensor.out_v.unwrap_or(logic_v);
    if part.shifted { (reads_v / out_v).min(1.0) } else { 1.0 }
}

/// What a part may be wired to.
struct Wiring<'a> {
    thing: &'a ThingDef,
    board: Option<&'a BoardDef>,
    catalog: &'a Catalog,
}

impl Wiring<'_> {
    /// What feeds a part, [V]. None: not known.
    fn fed_v(&self, part: &PartDef, sensor: &SensorDef) -> Option<f64> {
        self.board.filter(|_| !part.own_supply).and_then(|b| sensor.fed_v(b))
    }

    /// What a part puts on an input of another part. None: it is wired to none.
    fn outlet(&self, part: &PartDef, sensor: &SensorDef, def: &ChannelDef) -> Option<Outlet> {
        let (id, input) = part.on.converter()?;
        let (law, board) = (def.analog?, self.board?);
        let (other, converter) = self.thing.converter(id, self.catalog)?;
        let quantity = format!("voltage_{input}");
        let channel = converter.channels.iter().find(|c| c.quantity == quantity)?;
        let reads_v = channel.fed(self.fed_v(other, converter)).range.1;
        Some(Outlet { law, logic_v: board.logic_v, share: share(part, sensor, reads_v, board.logic_v) })
    }
}

/// The channels that drive inputs of other parts, and those inputs, by index.
fn through(channels: &[ChannelPlan], thing: &ThingDef, catalog: &Catalog) -> Vec<(usize, usize)> {
    let index = |name: &str| channels.iter().position(|c| c.name == name);
    let driven = thing.driven_inputs(catalog).filter_map(|(input, part, sensor)| {
        let from = index(&format!("{}.{}", part.id, sensor.channels.first()?.quantity))?;
        channels[from].outlet.is_some().then_some((from, index(&input)?))
    });
    driven.collect()
}

/// One topic that the firmware publishes to.
#[derive(Debug)]
pub(crate) struct Publish {
    pub def: PublishDef,
    pub codec: Codec,
    /// What a device of the group reports, with units, where it speaks a dialect.
    pub spoken: Option<(Dialect, Vec<(String, String)>)>,
}

/// What the devices of a group share.
#[derive(Debug)]
pub(crate) struct Group {
    /// Ordinal of the group's first device.
    pub first: u32,
    pub(super) id: String,
    /// Zone ids, in the group's order, `outside` alone where it has none; then those that its devices are carried to.
    pub zones: Vec<String>,
    /// How many of them its devices start in.
    pub(super) homes: usize,
    pub channels: Vec<ChannelPlan>,
    /// Channels of parts that drive inputs of other parts, and those inputs, by index.
    pub(super) through: Vec<(usize, usize)>,
    /// The same channels as faults see them.
    pub wired: Vec<Wired>,
    /// Index of the group in the plan, by which its actuators are found.
    pub number: usize,
    /// Number of actuator parts, whose levels a payload tells after the readings.
    pub actuators: usize,
    pub(super) signal_base: u32,
    pub(super) signal_stride: u32,
    pub publish: Vec<Publish>,
    pub supply: Option<Supply>,
    pub pack: Option<PackPlan>,
    pub clock: Option<ClockPlan>,
    /// A start after a reset, and the pause before it.
    pub boot: Span,
    pub pause: Span,
    /// Time between wakes.
    pub period: Span,
    pub link: LinkPlan,
    /// The slowest part's conversion: a message leaves no earlier.
    pub conversion: Span,
    /// Share of the time that a device is awake, which its parts' own heat goes by.
    pub(in crate::sense) duty: f64,
    pub(super) has_radio: bool,
    /// Whether its MQTT session outlasts its connections.
    pub persistent: bool,
    /// Whether it has actuators, hears messages or runs a script: whether it matters to others that a board is reset.
    pub acts: bool,
    /// Whether a device that sleeps meets its network only to hear.
    pub(super) wakes_to_hear: bool,
    /// What keeps time while it sleeps, where that is another clock: its error, [ppm], and its share of the time.
    pub(super) sleep_clock: Option<(f64, f64)>,
    /// Whether received power is among its signals, after the readings, the supply's two and the levels.
    pub(super) tells_rssi: bool,
    pub(super) on_battery: bool,
    /// Voltage of the supply of a device on the mains, [V].
    pub(super) mains_v: f64,
    /// Current of a device that is awake with all sensors measuring, [mA].
    pub(super) awake_ma: f64,
    /// Whether a part looks at the supply.
    pub(super) looks_at_supply: bool,
}

impl Group {
    /// Channels that go wrong with these, each with the one that it hangs on: an input of a converter reads what a part puts there,
    /// and the part's reading is made of what the input reads.
    pub(super) fn coupled(&self, of: &[usize]) -> Vec<(usize, usize)> {
        let both = self.through.iter().flat_map(|&(part, input)| [(part, input), (input, part)]);
        both.filter(|(other, own)| of.contains(own) && !of.contains(other)).collect()
    }

    pub fn new(plan: &Plan, group: &GroupPlan) -> Self {
        let firmware = group.firmware.as_ref();
        let board = group.thing.board.as_ref().and_then(|b| plan.catalog.boards.get(b));
        let sensors: Vec<(&PartDef, &SensorDef)> =
            group.thing.parts.iter().filter_map(|p| Some((p, plan.catalog.sensors.get(&p.model)?))).collect();
        let wiring = Wiring { thing: &group.thing, board, catalog: &plan.catalog };
        let of = |(part, sensor): &(&PartDef, &SensorDef)| -> Vec<ChannelPlan> {
            sensor.channels.iter().map(|def| ChannelPlan::new(part, sensor, def, &wiring)).collect()
        };
        let channels: Vec<ChannelPlan> = sensors.iter().flat_map(of).collect();
        let actuators = group.thing.parts.iter().filter(|p| plan.catalog.actuators.contains_key(&p.model));
        let levels: Vec<String> = actuators.map(|p| format!("{}.level", p.id)).collect();
        let names: Vec<String> =
            channels.iter().map(|c| c.name.clone()).chain(levels.iter().cloned()).collect();
        let parts: Vec<&SensorDef> = sensors.iter().filter(|(p, _)| !p.own_supply).map(|(_, s)| *s).collect();
        let link = group.link.and_then(|i| plan.scenario.links.get(i));
        let resting = at_rest(board, firmware);
        let (resting_board, resting_firmware) =
            resting.as_ref().map_or((board, firmware), |(b, f)| (Some(b), Some(f)));
        let queue = firmware.map_or((1, 0), |f| (f.attempts, f.queue));
        let zones = &plan.scenario.world.zones;
        let places = group.places();
        let indices: Vec<usize> = places.iter().map(|place| place.unwrap_or(zones.len())).collect();
        let radio = LinkPlan::new(&plan.scenario, &plan.catalog, link, board, &indices, queue)
            .asleep(firmware.filter(|f| f.dozes(board)).map(|f| f.awake));
        let asleep = board.zip(firmware).and_then(|(b, f)| sleep_clock(b, f));
        let name = |place: &Option<usize>| place.map_or(OUTDOORS, |z| &zones[z].id).to_owned();
        Self {
            first: group.first,
            number: group.def,
            actuators: levels.len(),
            id: plan.scenario.fleet[group.def].id.clone(),
            zones: places.iter().map(name).collect(),
            homes: group.zones.len().max(1),
            signal_base: plan.signals.id(group.block, 0, 0).0,
            signal_stride: plan.signals.id(group.block, 1, 0).0 - plan.signals.id(group.block, 0, 0).0,
            publish: firmware
                .map_or_else(Vec::new, |f| publishes(f, &names, &channels, &plan.catalog.dialects)),
            supply: Supply::new(&group.power, resting_board, resting_firmware, &parts),
            pack: PackPlan::new(&group.power, &plan.catalog, resting_board, resting_firmware, &parts)
                .map(|pack| pack.with_radio(radio.tx_ma())),
            clock: firmware.and_then(|f| f.clock.clone()).map(|def| ClockPlan {
                def,
                crystal: board.and_then(|b| b.crystal).filter(|_| asleep.is_none()),
                epoch_unix_ms: epoch_unix_ms(plan),
            }),
            boot: firmware.map_or(Span::ZERO, |f| f.boot),
            pause: firmware.map_or(Span::ZERO, |f| f.brown_out_pause),
            period: firmware.map_or(Span::ZERO, |f| f.period),
            link: radio,
            conversion: channels.iter().map(|c| c.conversion).max().unwrap_or_default(),
            duty: firmware.map_or(0.0, duty),
            persistent: firmware.is_some_and(|f| f.persistent),
            has_radio: firmware.is_some_and(|f| f.speaks() || f.listens()),
            acts: !levels.is_empty() || firmware.is_some_and(|f| f.listens() || f.script.is_some()),
            wakes_to_hear: firmware.is_some_and(|f| f.listens() && f.publish.is_empty() && f.dozes(board)),
            sleep_clock: asleep,
            tells_rssi: group.radio,
            on_battery: group.power.is_battery(),
            mains_v: board.map_or(0.0, |b| b.supply_v),
            awake_ma: board.map_or(0.0, |b| b.current_ma.active)
                + parts.iter().map(|s| s.active_ma).sum::<f64>(),
            looks_at_supply: channels.iter().any(|c| c.supply.is_some()),
            through: through(&channels, &group.thing, &plan.catalog),
            channels,
            wired: wired(&group.thing, &plan.catalog),
        }
    }

    /// Id of the group's i-th device.
    pub fn device_id(&self, index: u32) -> String {
        self.id.replace("{}", &index.to_string())
    }

    pub(super) fn signal(&self, index: u32, channel: usize) -> SignalId {
        SignalId(self.signal_base + index * self.signal_stride + channel as u32)
    }

    /// Places of a quantity, one per zone.
    pub(super) fn places(&self, truth: &mut Truth, quantity: &str) -> Vec<TruthId> {
        let prefix = |zone: &String| place_prefix(Some(zone.as_str()).filter(|z| *z != OUTDOORS));
        self.zones.iter().map(|z| truth.place(&format!("{}/{quantity}", prefix(z)))).collect()
    }

    /// The zone that its i-th device was set up for.
    pub fn home(&self, index: u32) -> &str {
        &self.zones[index as usize % self.homes]
    }
}

/// A board that rests in a state of its own: it sleeps at that state's current.
fn at_rest(board: Option<&BoardDef>, firmware: Option<&Firmware>) -> Option<(BoardDef, Firmware)> {
    let (board, firmware) = (board?, firmware?);
    let rest = firmware.rest.as_ref()?;
    Some((board.resting_in(rest), Firmware { deep_sleep: true, ..firmware.clone() }))
}

/// What keeps time while a device sleeps, where that is not its board's own clock: its error, [ppm], and the share of the time
/// that it does.
fn sleep_clock(board: &BoardDef, firmware: &Firmware) -> Option<(f64, f64)> {
    let ppm = board.sleep_clock_ppm.filter(|_| firmware.dozes(Some(board)) && firmware.period.0 > 0)?;
    let awake = firmware.awake.as_secs_f64() / firmware.period.as_secs_f64();
    Some((ppm, (1.0 - awake).clamp(0.0, 1.0)))
}

/// Share of the time that a device is awake, which its parts' own heat goes by.
fn duty(firmware: &Firmware) -> f64 {
    if !firmware.deep_sleep || firmware.period.0 == 0 {
        return 1.0;
    }
    (firmware.awake.as_secs_f64() / firmware.period.as_secs_f64()).min(1.0)
}

/// A template that does not compile has been refused by the scenario's checks; if it has not, it publishes nothing.
fn publishes(
    firmware: &Firmware,
    names: &[String],
    channels: &[ChannelPlan],
    dialects: &Dialect,
) -> Vec<Publish> {
    let compile = |def: &PublishDef| {
        let codec = Codec::new(&def.payload, names).ok()?;
        let spoken = matches!(def.payload, PayloadDef::Dialect { .. }).then(|| {
            let unit = |(i, name): (usize, &String)| {
                let unit = channels.get(i).map_or("ratio", |c| c.def.unit.as_str());
                (name.clone(), unit.to_owned())
            };
            (dialects.clone(), names.iter().enumerate().map(unit).collect())
        });
        Some(Publish { def: def.clone(), codec, spoken })
    };
    firmware.publish.iter().filter_map(compile).collect()
}
