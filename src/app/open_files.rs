//! How many files the process may have open: each host costs several, and many systems give 1024. What a host
//! costs is the transport's and the record's affair.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Enough for some thousand hosts at the same time. Programs that are started have the limit too, and old ones
/// close every file that they might have: not more than needed.
const ENOUGH: u64 = 65_536;

/// Raises the limit as far as it is useful and allowed. Where that is refused, things stay as they are.
pub(super) fn allow_many() {
    let limit = getrlimit(Resource::Nofile);
    if let Some(raised) = raised(&limit) {
        let _as_it_was = setrlimit(Resource::Nofile, raised);
    }
}

/// The limit to set; `None` where the present one is enough, or the most that is allowed.
fn raised(limit: &Rlimit) -> Option<Rlimit> {
    let current = limit.current?;
    let wanted = limit.maximum.map_or(ENOUGH, |most| most.min(ENOUGH));
    (current < wanted).then_some(Rlimit {
        current: Some(wanted),
        maximum: limit.maximum,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_as_far_as_it_is_allowed_and_never_lowered() {
        for (current, maximum, expected) in [
            (Some(1024), Some(4096), Some(4096)),
            (Some(1024), Some(1_048_576), Some(ENOUGH)),
            (Some(1024), None, Some(ENOUGH)),
            (Some(1024), Some(1024), None),
            (Some(100_000), None, None),
            (None, None, None),
        ] {
            let raised = raised(&Rlimit { current, maximum });
            assert_eq!(raised.and_then(|limit| limit.current), expected);
        }
    }
}
