//! The README's table of exit statuses says what the program does: both are frozen, so both are compared.

use fab_rs::model::ExitStatus;

#[test]
fn the_readme_lists_every_exit_status_and_no_other() {
    let readme = include_str!("../README.md");
    let listed: Vec<u8> = readme
        .lines()
        .skip_while(|line| *line != "## Exit statuses")
        .filter_map(|line| line.strip_prefix("| ")?.split(' ').next()?.parse().ok())
        .collect();
    let known: Vec<u8> = ExitStatus::ALL.iter().map(|status| status.code()).collect();
    assert_eq!(listed, known);
}
