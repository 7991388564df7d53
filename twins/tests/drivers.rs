//! The register-level parts, judged by drivers that others published: each is a dev-dependency from crates.io,
//! unmodified.
//!
//! A reading has to be within the part's own quantum of the truth that the part was shown; each test says where that
//! quantum comes from. Where a driver and a part disagree, the datasheet decides, and the test says so with the
//! driver's version.

mod drivers {
    mod ads1115;
    mod bh1750;
    mod bme280;
    mod common;
    mod dht;
    mod ds18b20;
    mod hx711;
    mod ina219;
    mod lsm9ds1;
    mod mcp3008;
    mod mpu6050;
    mod neo6m;
    mod pms5003;
    mod rooms;
    mod scd41;
    mod sht31;
    mod vl53l0x;
}
