//! One integration binary, a file per behaviour.

mod mqtt_broker;
mod mqtt_clients;
mod mqtt_exchange;
mod mqtt_outside;
