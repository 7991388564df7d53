//! What a dialog offers below its field: shipped scenarios, and what lies in the folder that is written there.

use crate::sim::open::shipped;

/// Offers at most, and entries of a folder that are looked at.
const MOST: usize = 14;
const MOST_ENTRIES: usize = 4_096;

/// Something that can be chosen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Offer {
    /// What is shown.
    pub label: String,
    /// What the field then holds.
    pub text: String,
}

/// What can be chosen as things are written: folders (to look on in), scenario files, records; and shipped scenarios where no
/// folder is named.
///
/// ```
/// use twinfleet_desktop::panels::files::offers;
/// assert!(offers("pi3b").iter().any(|o| o.text == "pi3b-mirror"));
/// assert!(offers("no/such/folder/").is_empty());
/// ```
pub fn offers(written: &str) -> Vec<Offer> {
    // On Windows both part folders.
    let cut = written.rfind(['/', std::path::MAIN_SEPARATOR]).map_or(0, |at| at + 1);
    let (folder, begun) = written.split_at(cut);
    let mut offers = Vec::new();
    if folder.is_empty() {
        let names = shipped().into_iter().map(|(name, _)| name).filter(|name| name.starts_with(begun));
        offers.extend(names.map(|name| Offer { label: format!("{name} (shipped)"), text: name.to_owned() }));
    }
    let place = if folder.is_empty() { ".".to_owned() } else { at_home(folder) };
    let Ok(entries) = std::fs::read_dir(place) else { return offers };
    let mut found: Vec<Offer> =
        entries.take(MOST_ENTRIES).flatten().filter_map(|entry| offer(&entry, folder, begun)).collect();
    found.sort();
    offers.extend(found);
    offers.truncate(MOST);
    offers
}

/// A path as a shell takes it: what begins with `~/` lies in the user's own folder.
///
/// ```
/// use twinfleet_desktop::panels::files::at_home;
/// assert_eq!(at_home("a/~/b.ron"), "a/~/b.ron");
/// assert_eq!(at_home("~/b.ron"), std::env::var("HOME").map_or("~/b.ron".to_owned(), |home| home + "/b.ron"));
/// ```
pub fn at_home(written: &str) -> String {
    match (written.strip_prefix("~/"), std::env::var("HOME")) {
        (Some(rest), Ok(home)) => format!("{}/{rest}", home.trim_end_matches('/')),
        _ => written.to_owned(),
    }
}

fn offer(entry: &std::fs::DirEntry, folder: &str, begun: &str) -> Option<Offer> {
    let name = entry.file_name().into_string().ok()?;
    if !name.starts_with(begun) || (name.starts_with('.') && begun.is_empty()) {
        return None;
    }
    let path = entry.path();
    if path.is_dir() {
        let text = format!("{folder}{name}");
        return Some(if path.join("manifest.json").is_file() {
            Offer { label: format!("{name} (record)"), text }
        } else {
            Offer { label: format!("{name}/"), text: format!("{text}/") }
        });
    }
    name.ends_with(".ron").then(|| Offer { text: format!("{folder}{name}"), label: name })
}
