//! One integration binary, a file per behaviour.

mod mqtt_broker;
mod mqtt_clients;
mod mqtt_exchange;
mod mqtt_outside;
mod mqtt_secure;
mod system {
    mod attached;
    mod bad_input;
    mod cold_night;
    mod commands;
    mod common;
    mod currents;
    mod datasheet;
    mod detect;
    mod determinism;
    mod diagnose;
    mod dialects;
    mod energy;
    mod events;
    mod forecast;
    mod hearing;
    mod home;
    mod load;
    mod login;
    mod mirror;
    mod mirror_floods;
    mod mirror_lost;
    mod mirror_truth;
    mod outside;
    mod own;
    mod recordings;
    mod refused;
    mod scenarios;
    mod scripts;
    mod supply;
    mod tables;
    mod tidy;
    mod timeline;
}
