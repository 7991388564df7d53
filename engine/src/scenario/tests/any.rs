//! No text, however bent, makes the reader panic.

use super::*;

use proptest::prelude::*;

proptest! {
    /// A few bytes of a good file cut out, doubled or replaced: an answer, never a panic.
    #[test]
    fn no_mutation_panics(edits in prop::collection::vec((0..GOOD.len(), 0..40usize, "[ -~é\\n]{0,6}"), 1..4)) {
        let mut text = GOOD.to_owned();
        for (at, len, put) in edits {
            let floor = |mut i: usize| { while !text.is_char_boundary(i) { i -= 1 } i };
            let (from, to) = (floor(at.min(text.len())), floor((at + len).min(text.len())));
            text.replace_range(from..to, &put);
        }
        let report = report(&text);
        let plain = report.render(Style::Plain);
        prop_assert_eq!(report.is_empty(), plain.is_empty());
        for item in report.items() {
            prop_assert!(item.place().is_some(), "no place: {}", item);
            prop_assert!(item.help_text().is_some_and(|help| !help.is_empty()), "nothing to try: {}", item);
        }
    }

    #[test]
    fn no_text_panics(text in "[\\[\\](){}:,\"'#!rb/*a0 \\n\\\\é.-]{0,60}") {
        let report = report(&text);
        let fancy = report.render(Style::Fancy { width: 80, color: true });
        prop_assert!(!fancy.is_empty());
    }

    #[test]
    fn no_assignment_panics(assignment in "[a-z\\[\\]\"(){}=.,0-9é ]{0,30}") {
        let _ = Source::embedded("a.ron", GOOD).set(&assignment).map(|s| report_of(&s));
    }

    /// What `set` writes is what is read, and nothing else changes.
    #[test]
    fn set_counts(count in 1u32..1000, seed: u64) {
        let source = Source::embedded("a.ron", GOOD).set(&format!("fleet[0].count={count}")).unwrap();
        let scenario = crate::scenario::read(&source.set(&format!("seed={seed}")).unwrap()).unwrap();
        prop_assert_eq!((scenario.fleet[0].count, scenario.seed), (count, seed));
        prop_assert_eq!(scenario.timeline.len(), 4);
    }
}
