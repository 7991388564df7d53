//! What `--help` shows below the options: examples to paste, and what comes out. Lines fit a terminal of 80 columns.

pub const RUN: &str = "\
Examples:
  # a shipped scenario; then look at out/report.html
  twinfleet run pi3b-mirror --report out/
  # as fast as it goes, nothing on the network, every row kept
  twinfleet run my.ron --broker none --record rec/
  # a minute a second; `mosquitto_sub -t '#' -v` looks in meanwhile
  twinfleet run my.ron --speed 60x --broker embedded:1883
  # what if: a path ends at any field of the file
  twinfleet run cold-night --set world.weather.mean_c=-12 --seed 7
  # one half of a fleet; the other half elsewhere, then `twinfleet merge`
  twinfleet run greenhouse --broker none --shard 0/2 --record a/

How long it runs, in simulated time, is the scenario's `duration`. The same
scenario and seed leave the same record, byte for byte.

Exit codes:
  0 all expectations held    1 one failed or saw no data    2 bad input
  3 broker, disk, time-out   130 stopped by Ctrl-C";

pub const CHECK: &str = "\
Examples:
  # one scenario, the recordings it names, and `catalog/` next to it
  twinfleet check my.ron
  # every .ron file below these folders
  twinfleet check scenarios/ catalog/
  # an object an error: file, line, column, message, help
  twinfleet check my.ron --json

It also says how many devices a scenario has, and into how many shards it can
be cut.

Exit codes:
  0 all valid, perhaps with warnings    2 something is wrong";

pub const LIST: &str = "\
Examples:
  # what `run` takes by name
  twinfleet list scenarios
  # what a part's `model` may be, yours among them
  twinfleet list sensors --catalog my/
  # name, about and source of each
  twinfleet list things --json";

pub const DISCOVER: &str = "\
Examples:
  # a house of ESPHome and Tasmota devices: what is there, and twins of it
  twinfleet discover mqtt://homeassistant.local --for 10min --out house.ron
  twinfleet mirror house.ron --broker mqtt://homeassistant.local
  # doubles that speak as those devices do, on another broker
  twinfleet discover mqtt://localhost --doubles doubles.ron
  twinfleet replay doubles.ron --as-devices --broker mqtt://localhost:1884

Dialects: `twinfleet list dialects`. It only listens
(but for --rebirth): nothing is published.

Exit codes:
  0 something was found    2 bad input    3 no broker, or nobody spoke";

pub const REPLAY: &str = "\
Examples:
  # each row at its own time, one JSON object on fleet/replayed/state
  twinfleet replay pi.csv --time datetime --broker mqtt://localhost \\
      --map cpu.load=usage:% --map soc.temperature=temp:C
  # rows without times or names, a minute a second
  twinfleet replay log.txt --no-header --period 1s --speed 60x \\
      --map probe.temperature=#2:K --broker embedded:1883
  # the physicals of a scenario, without its twins
  twinfleet replay pi3b-mirror

A signal is `part.quantity`. The unit behind a column says what its cells are
in: C, K, F, %, hPa, lx, V, …

Exit codes:
  0 all was published      2 bad input
  3 broker, time-out       130 stopped by Ctrl-C";

pub const FIT: &str = "\
Examples:
  # fit on two recordings, judge on a third
  twinfleet fit --thing raspberry-pi-3b --data a.csv b.csv --test c.csv \\
      --time datetime --map cpu.load=usage:% soc.temperature=temp:C --out pi.ron
  # fit on the first 60 % of one, judge on the rest
  twinfleet fit --thing box.ron --data run.csv --train-fraction 0.6 \\
      --period 1s --map heater.level=duty:% probe.temperature=t:C
  # several devices: write the prior of the next one, and begin with it
  twinfleet fit --thing box.ron --data a.csv b.csv c.csv --pool fleet.ron …
  twinfleet fit --thing box.ron --data d.csv --params fleet.ron …

It prints each parameter with its 90 % interval (profile likelihood), what the
data tell only together or not at all and which experiment would, and the error
(RMSE) on what was fitted and on what was held out. A scenario takes the file it
writes with `mirror: [(…, params: \"pi.ron\")]`.

Exit codes:
  0 fitted    2 bad input    3 a file could not be written";

pub const MERGE: &str = "\
Example:
  twinfleet run greenhouse --broker none --shard 0/2 --record a/
  twinfleet run greenhouse --broker none --shard 1/2 --record b/
  twinfleet merge a/ b/ --out all/

What comes out is the record of the unsharded run, byte for byte, and its
expectations are judged as that run would have.

Exit codes:
  0 all expectations held    1 one failed or saw no data
  2 not all shards of one run    3 disk    130 the shards were stopped";

pub const MIRROR: &str = "\
Examples:
  # two terminals: a recorded Pi publishes, its twin follows
  twinfleet replay pi3b-mirror --broker mqtt://localhost
  twinfleet mirror pi3b-mirror --broker mqtt://localhost --store mirror/ \\
      --status 9464
  # then http://127.0.0.1:9464/ and `mosquitto_sub -t 'twinfleet/#' -v`
  # with TLS, our own certificate, and a password that no log shows
  TWINFLEET_PASSWORD=… twinfleet mirror fleet.ron --store mirror/ --mqtt 5 \\
      --broker mqtts://mirror@broker.example --ca-file ca.pem \\
      --cert mirror.pem --key mirror.key --json

What comes is kept before it is acknowledged: nothing of QoS 1 or 2 is lost
when the mirror, the broker or the network fails. `desired` is set through
$aws/things/TWIN/shadow/update, and commands the device in its own dialect, or
by the twin's `command: (topic: \"…\")`; it is told until it reports it, refuses
it, or has been told `tries` times: see `command` in /api/v1/twins/TWIN.

Exit codes:
  0 stopped by Ctrl-C or SIGTERM      2 bad input
  3 the broker was never there, or the store cannot be written";

#[cfg(test)]
#[test]
fn examples_fit_a_terminal() {
    for text in [RUN, CHECK, LIST, REPLAY, FIT, MERGE, MIRROR] {
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }
}
