//! `-x`, `--limit` and `--sample`: what they leave, and what is refused.

use proptest::prelude::*;

use crate::inventory::select::tests::{fleet, terms};
use crate::inventory::{Limit, SelectError, SelectRequest, Selected, select};
use crate::model::{Amount, ExitStatus, Host};

fn apps() -> SelectRequest {
    SelectRequest {
        terms: terms(&["role=app"]),
        ..SelectRequest::default()
    }
}

fn targets(selected: &Selected) -> Vec<&str> {
    let hosts = selected.population.iter();
    hosts
        .filter(|host| selected.targets.contains(&host.id))
        .map(|host| host.label.as_str())
        .collect()
}

fn narrowed(
    exclude: &[&str],
    limit: Option<&str>,
    sample: Option<usize>,
) -> Result<Selected, SelectError> {
    let request = SelectRequest {
        exclude: exclude.iter().map(|text| text.parse().unwrap()).collect(),
        limit: limit.map(|text| text.parse().unwrap()),
        sample,
        ..apps()
    };
    select(&fleet(), &request)
}

#[test]
fn excluded_hosts_are_counted_and_not_touched() {
    let selected = narrowed(&["az=a,b", "app-3"], None, None).unwrap();
    assert_eq!(targets(&selected), ["app-6"]);
    assert_eq!(selected.population.len(), 6);
    assert!(selected.warnings.is_empty());
}

#[test]
fn a_slip_in_an_exclusion_is_refused_or_warned_of() {
    let error = narrowed(&["app-33"], None, None).unwrap_err();
    assert_eq!(error.exit(), ExitStatus::Refused);
    let error = &error.diagnostics()[0];
    assert_eq!(error.message, "prod.yml has no host `app-33`");
    assert_eq!(error.hints, ["did you mean `app-3`?"]);
    let error = narrowed(&["rol=db"], None, None).unwrap_err();
    assert_eq!(error.exit(), ExitStatus::Refused);
    assert_eq!(error.diagnostics()[0].hints[0], "did you mean `role=db`?");
    let selected = narrowed(&["az=d"], None, None).unwrap();
    assert_eq!(selected.warnings, ["`-x az=d` excludes no host"]);
}

#[test]
fn a_percentage_that_is_none_is_not_taken_for_a_host() {
    let errors = "200%".parse::<Limit>().unwrap_err();
    assert!(errors[0].message.contains("100"), "{}", errors[0].message);
    assert!("20%".parse::<Limit>().is_ok());
}

#[test]
fn nothing_left_is_no_host() {
    for error in [
        narrowed(&["role=app"], None, None).unwrap_err(),
        narrowed(&[], Some("az=d"), None).unwrap_err(),
        narrowed(&["az=a"], Some("app-1"), None).unwrap_err(),
    ] {
        assert_eq!(error.exit(), ExitStatus::NoHost, "{error:?}");
    }
    let error = narrowed(&[], Some("az=d"), None).unwrap_err();
    assert_eq!(
        error.diagnostics()[0].message,
        "`--limit az=d` leaves none of 6 hosts"
    );
}

#[test]
fn a_limit_is_a_number_a_share_a_term_or_names() {
    for (limit, left) in [
        ("2", vec!["app-1", "app-2"]),
        ("50%", vec!["app-1", "app-2", "app-3"]),
        ("1%", vec!["app-1"]),
        (
            "99",
            vec!["app-1", "app-2", "app-3", "app-4", "app-5", "app-6"],
        ),
        ("az=b", vec!["app-2", "app-5"]),
        ("app-6,app-1.internal", vec!["app-1", "app-6"]),
    ] {
        assert_eq!(
            targets(&narrowed(&[], Some(limit), None).unwrap()),
            left,
            "{limit}"
        );
    }
}

#[test]
fn a_limit_of_nothing_is_refused() {
    for text in ["0", "0%", "role=", ""] {
        assert!(text.parse::<Limit>().is_err(), "{text}");
    }
    assert_eq!(
        "10.0.0.1"
            .parse::<Limit>()
            .map(|limit| matches!(limit, Limit::These(_))),
        Ok(true)
    );
    assert_eq!("25%".parse(), Ok(Limit::First(Amount::Percent(25))));
}

#[test]
fn a_sample_takes_one_host_of_each_zone_first() {
    assert_eq!(
        targets(&narrowed(&[], None, Some(3)).unwrap()),
        ["app-1", "app-2", "app-3"]
    );
    assert_eq!(
        targets(&narrowed(&["app-2"], None, Some(4)).unwrap()),
        ["app-1", "app-3", "app-4", "app-5"]
    );
    assert_eq!(
        narrowed(&[], None, Some(0)).unwrap_err().exit(),
        ExitStatus::Refused
    );
}

proptest! {
    #[test]
    fn a_sample_spreads_evenly_and_whatever_the_order_of_the_hosts(
        count in 1_usize..8,
        order in Just((0..8).collect::<Vec<usize>>()).prop_shuffle(),
    ) {
        let mut shuffled = fleet();
        shuffled.hosts = order.iter().map(|&index| shuffled.hosts[index].clone()).collect();
        let request = SelectRequest { sample: Some(count), ..apps() };
        let selected = select(&shuffled, &request).unwrap();
        prop_assert_eq!(&selected, &narrowed(&[], None, Some(count)).unwrap());
        prop_assert_eq!(selected.targets.len(), count.min(6));
        let of_zone = |zone: &str| {
            let is_target = |host: &&Host| selected.targets.contains(&host.id) && host.zone().as_str() == zone;
            selected.population.iter().filter(is_target).count()
        };
        let counts = ["a", "b", "c"].map(of_zone);
        prop_assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{:?}", counts);
    }
}
