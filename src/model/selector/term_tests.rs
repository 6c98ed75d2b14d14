//! Terms: what they match, what is refused, and that printing and parsing are inverse.

use indexmap::IndexMap;
use proptest::prelude::*;

use super::*;
use crate::model::{HostId, Tags, Zone};

fn host() -> Host {
    Host {
        id: HostId::new("i-0abc"),
        zone: Some(Zone::new("us-west-2a")),
        state: Some("running".to_owned()),
        instance_type: Some("m5.large".to_owned()),
        tags: Tags::from_iter([
            ("Role", "app"),
            ("type", "blue"),
            ("aws:autoscaling:groupName", "app-asg"),
        ]),
        ..Host::named("app-1", "10.0.1.11")
    }
}

fn matches(term: &str) -> bool {
    let host = host();
    let keys = TagKeys::new([&host], &IndexMap::new());
    let term: Term = term.parse().unwrap();
    term.matcher(&keys).unwrap().matches(&host)
}

#[test]
fn terms_match_tags_and_attributes() {
    for term in [
        "all",
        "role=app",
        "role=db,app",
        "Role=a*",
        "role!=db",
        "owner!=me",
        "role~=^a",
        "name=app-*",
        "az=us-west-2a",
        "az!=us-west-2b",
        "id=i-0abc",
        "ip=10.0.1.*",
        "type=m5.*",
        "tag:type=blue",
        "asg=app-asg",
        "state=running",
        "host=app-1",
        "host=10.0.1.11",
        "host=i-0abc",
    ] {
        assert!(matches(term), "{term}");
    }
}

#[test]
fn terms_leave_out_what_differs_or_is_absent() {
    for term in [
        "role=db",
        "role=App",
        "role!=app",
        "role!=db,app",
        "role!=*",
        "owner=me",
        "owner=*",
        "owner~=.",
        "type=blue",
        "tag:role=app",
        "stack=*",
        "host=app-2",
    ] {
        assert!(!matches(term), "{term}");
    }
}

#[test]
fn what_is_no_term_says_why() {
    let refused = |text: &str| {
        let error = text.parse::<Term>().unwrap_err();
        (error.to_string(), error.hint().unwrap_or_default())
    };
    assert_eq!(
        refused("app-1").0,
        "`app-1` is not a selector such as `role=app`"
    );
    assert_eq!(refused("=app").0, "`=app` names no attribute or tag");
    assert_eq!(refused("!=app").0, "`!=app` names no attribute or tag");
    let (message, hint) = refused("role=");
    assert_eq!(message, "`role=` is not a selector: an empty value");
    assert!(hint.contains("`role=*`"), "{hint}");
    assert_eq!(
        refused("role~=(").0,
        "`role~=(` is not a selector: `(` is not a regular expression: unclosed group"
    );
}

proptest! {
    #[test]
    fn printing_what_was_parsed_gives_the_same_text(
        key in "[^=!~]{1,8}",
        operator in prop_oneof![Just("="), Just("!="), Just("~=")],
        value in "[^\\[\\]{}()*+?\\\\|,^$.]{1,12}",
    ) {
        let text = format!("{key}{operator}{value}");
        let term: Term = text.parse().unwrap();
        prop_assert_eq!(term.to_string(), text);
    }

    #[test]
    fn parsing_what_was_printed_gives_the_same_term(text in "\\PC{0,20}") {
        if let Ok(term) = text.parse::<Term>() {
            prop_assert_eq!(term.to_string().parse::<Term>(), Ok(term));
        }
    }

    #[test]
    fn a_plain_value_matches_itself_and_its_negation_does_not(value in "[a-zA-Z0-9 /:;$'\"()-]{1,12}") {
        let host = Host {
            tags: Tags::from_iter([("k", value.as_str())]),
            ..Host::named("h", "h")
        };
        let keys = TagKeys::new([&host], &IndexMap::new());
        let is: Term = format!("k={value}").parse().unwrap();
        let is_not: Term = format!("k!={value}").parse().unwrap();
        prop_assert!(is.matcher(&keys).unwrap().matches(&host));
        prop_assert!(!is_not.matcher(&keys).unwrap().matches(&host));
    }
}
