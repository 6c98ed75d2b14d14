//! What went wrong with an AWS request, in the words of its whole source chain, and what to do about it.

/// What a credential provider says that has nothing to try.
const NOT_ENABLED: &str = "the credential provider was not enabled";

/// Whether no credential provider had anything to try.
pub(super) fn is_without_credentials(causes: &[String]) -> bool {
    let said = |words: &str| causes.iter().any(|cause| cause.contains(words));
    said("no credentials found in chain")
}

/// The texts of an error and its sources, one a line, outermost first, without those that say nothing more than
/// the one before.
pub(super) fn causes(error: &(dyn std::error::Error + 'static)) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        // The list of providers says of each that it was not enabled, then why.
        let text = error.to_string().replace(&format!("{NOT_ENABLED}: "), "");
        for line in text.lines().map(str::trim) {
            let repeats = texts.last().is_some_and(|last| last.ends_with(line));
            if !repeats && !line.is_empty() && line != NOT_ENABLED {
                texts.push(line.to_owned());
            }
        }
        next = error.source();
    }
    texts
}

/// What to do about an error with these causes; `profile` is the one that was used.
pub(super) fn hints(causes: &[String], profile: Option<&str>) -> Vec<String> {
    let text = causes.join("\n").to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let login = format!("aws sso login{}", option(profile));
    let hint = if has(&[
        "expired",
        "requestexpired",
        "token is invalid",
        "session token not found",
        "sso token",
    ]) {
        format!("sign in again (`{login}`), or use `--inventory FILE` with a saved list")
    } else if has(&["no credentials found", "was not enabled"]) {
        format!("set AWS_PROFILE, name one with `--profile`, or sign in with `{login}`")
    } else if has(&["unauthorizedoperation", "accessdenied", "not authorized"]) {
        "the credentials lack a permission: `ec2:DescribeInstances`, and what the message names"
            .to_owned()
    } else if has(&[
        "authfailure",
        "invalidclienttokenid",
        "unrecognizedclient",
        "signaturedoesnotmatch",
    ]) {
        "are these credentials of that account, is the region enabled, and is the clock right?"
            .to_owned()
    } else if has(&["requestlimitexceeded", "throttl"]) {
        "the account asks EC2 too often; a `cache:` in the inventory helps".to_owned()
    } else if has(&["dns error", "failed to lookup", "name or service not known"]) {
        "is the region's name right, and does this machine resolve names?".to_owned()
    } else if has(&[
        "dispatch failure",
        "timed out",
        "timeout",
        "connection refused",
        "connect error",
    ]) {
        "is the network up? AWS_ENDPOINT_URL and proxies in the environment are honoured".to_owned()
    } else {
        return Vec::new();
    };
    vec![hint]
}

fn option(profile: Option<&str>) -> String {
    profile.map_or_else(String::new, |name| format!(" --profile {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Layer(&'static str, Option<Box<Layer>>);

    impl std::fmt::Display for Layer {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.0)
        }
    }

    impl std::error::Error for Layer {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            self.1.as_deref().map(|layer| layer as _)
        }
    }

    #[test]
    fn the_whole_chain_is_told_without_echoes() {
        let inner = Layer("connection refused", None);
        let middle = Layer(
            "tcp connect error: connection refused",
            Some(Box::new(inner)),
        );
        let error = Layer("dispatch failure", Some(Box::new(middle)));
        assert_eq!(
            causes(&error),
            ["dispatch failure", "tcp connect error: connection refused"]
        );
    }

    #[test]
    fn a_list_of_providers_is_told_line_by_line() {
        let list = Layer(
            "no credentials found in chain. Attempted:\n  Environment: the credential provider was not enabled: \
             environment variable not set\n  Profile: the credential provider was not enabled",
            None,
        );
        let causes = causes(&Layer(NOT_ENABLED, Some(Box::new(list))));
        assert_eq!(
            causes,
            [
                "no credentials found in chain. Attempted:",
                "Environment: environment variable not set",
                "Profile: the credential provider was not enabled"
            ]
        );
        assert!(is_without_credentials(&causes));
    }

    #[test]
    fn each_kind_of_trouble_has_its_hint() {
        for (cause, hint) in [
            (
                "ExpiredToken: the security token has expired",
                "sign in again",
            ),
            (
                "no credentials found in chain. Attempted:",
                "set AWS_PROFILE",
            ),
            (
                "UnauthorizedOperation: You are not authorized",
                "lack a permission",
            ),
            (
                "AuthFailure: AWS was not able to validate",
                "credentials of that account",
            ),
            ("RequestLimitExceeded: Request limit exceeded.", "too often"),
            ("dispatch failure", "is the network up?"),
        ] {
            let hints = hints(&[cause.to_owned()], Some("prod"));
            assert!(hints[0].contains(hint), "{cause}: {hints:?}");
        }
        assert!(hints(&["something else".to_owned()], None).is_empty());
    }

    #[test]
    fn signing_in_names_the_profile() {
        let hints = hints(&["the SSO token has expired".to_owned()], Some("prod"));
        assert!(hints[0].contains("`aws sso login --profile prod`"));
    }
}
