//! What sudo's refusals mean. Pure text: sudo is asked elsewhere.

/// The plain cause of a refusal, from sudo's own words on stderr (in English, or else as they are).
pub(super) fn refusal(words: &str, user: &str, code: u8) -> String {
    let has = |text: &str| words.contains(text);
    // First: where one was wrong, sudo goes on to ask for another, and says of that one that none was provided.
    if has("Sorry, try again") || has("incorrect password") {
        return "sudo did not take the password".to_owned();
    }
    if has("a password is required") || has("no password was provided") {
        return format!("sudo asks for a password to become `{user}`");
    }
    if has("you must have a tty") || has("no tty present") {
        return "sudo insists on a terminal (`requiretty` in its configuration)".to_owned();
    }
    if has("is not in the sudoers file") {
        return "the login user is not in the sudoers file".to_owned();
    }
    if has("is not allowed to") || has("may not run sudo") {
        return format!("sudo does not allow the login user to run `sh` as `{user}`");
    }
    if has("unknown user") {
        return format!("sudo knows no user `{user}` there");
    }
    if has("expired") {
        return "sudo says that the account or its password has expired".to_owned();
    }
    if code == 127 || has("sudo: not found") || has("sudo: command not found") {
        return "there is no `sudo` on the host".to_owned();
    }
    match words.lines().map(str::trim).rfind(|line| !line.is_empty()) {
        Some(last) => format!("sudo ended with {code}: {last}"),
        None => format!("sudo ended with {code} and said nothing"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_its_plain_cause() {
        for (words, code, cause) in [
            (
                "sudo: a password is required\n",
                1,
                "sudo asks for a password to become `app`",
            ),
            (
                "Sorry, try again.\nsudo: no password was provided\nsudo: 1 incorrect password attempt\n",
                1,
                "sudo did not take the password",
            ),
            (
                "sudo: sorry, you must have a tty to run sudo\n",
                1,
                "sudo insists on a terminal (`requiretty` in its configuration)",
            ),
            (
                "Sorry, user deploy is not allowed to execute '/usr/bin/sh -c ...' as app on h1.\n",
                1,
                "sudo does not allow the login user to run `sh` as `app`",
            ),
            (
                "deploy is not in the sudoers file.\n",
                1,
                "the login user is not in the sudoers file",
            ),
            (
                "sudo: unknown user app\n",
                1,
                "sudo knows no user `app` there",
            ),
            (
                "sh: 1: sudo: not found\n",
                127,
                "there is no `sudo` on the host",
            ),
            (
                "\nsudo: /etc/sudoers is world writable\n\n",
                1,
                "sudo ended with 1: sudo: /etc/sudoers is world writable",
            ),
            ("", 1, "sudo ended with 1 and said nothing"),
        ] {
            assert_eq!(refusal(words, "app", code), cause);
        }
    }
}
