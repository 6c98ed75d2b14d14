//! Where values may stand in shell texts, and where not.

use proptest::prelude::*;

use super::*;

fn place(text: &str) -> Option<Place> {
    misplaced(text).map(|found| found.place)
}

#[test]
fn values_may_stand_where_words_are_read() {
    for text in [
        "echo {{ x }}",
        "{{ x }}",
        "a={{ x }} b=c{{ y }}d > {{ z }}",
        "ln -sfn {{ a }} {{ b }}/next && mv -T {{ b }}/next {{ b }}/current",
        "echo 'it is' \"it's\" {{ x }}",
        "echo \"$HOME\" ${HOME} ${x:-y} $# $? {{ x }}",
        "echo $(cat {{ x }}) {{ y }}",
        "echo \"$(cat {{ x }})\" {{ y }}",
        "echo \"$(cat \"$(dirname {{ x }})\")\" {{ y }}",
        "(cd {{ d }} && ls) | grep {{ x }}",
        "echo `date` {{ x }}",
        "echo \"`date`\" {{ x }}",
        "echo a#b {{ x }}",
        "# it's a comment\necho {{ x }}",
        "echo a # it's one too\necho {{ x }}",
        "cat <<EOF\nit's $HOME\nEOF\necho {{ x }}",
        "cat <<'EOF' > {{ x }}\nit's `\nEOF\necho {{ y }}",
        "cat <<-EOF\n\tit's\n\tEOF\necho {{ x }}",
        "cat <<A; cat <<B\n'\nA\n\"\nB\necho {{ x }}",
        "grep x <<< {{ x }}",
        "echo \\' {{ x }}",
        "echo \"\\\"\" {{ x }}",
        "echo $((1 + 2)) {{ x }}",
        "case {{ x }} in a) echo {{ y }};; esac",
        "{% if x %}echo {{ x }}{% else %}echo '{}'{% endif %} {{ y }}",
        "echo {# it's #} {{ x }}",
        "docker ps --format '{% raw %}{{.Names}}{% endraw %}' {{ x }}",
        "echo {{ '}}' ~ \"'\" }} {{ x }}",
        "grep -qxF {{ host.private_ip }}",
    ] {
        assert_eq!(misplaced(text), None, "{text}");
    }
}

#[test]
fn values_may_not_stand_where_quotes_mean_something_else() {
    for (text, expected) in [
        ("echo '{{ x }}'", Place::SingleQuotes),
        ("echo \"{{ x }}\"", Place::DoubleQuotes),
        ("echo \"a $(b) {{ x }}\"", Place::DoubleQuotes),
        ("echo \"$(echo \"{{ x }}\")\"", Place::DoubleQuotes),
        ("echo `ls {{ x }}`", Place::Backticks),
        ("echo \"`ls {{ x }}`\"", Place::Backticks),
        ("echo `ls \\{{ x }}`", Place::Backticks),
        ("echo ${a:-{{ x }}}", Place::Expansion),
        ("echo \"${a:-{{ x }}}\"", Place::Expansion),
        ("echo $(({{ x }} + 1))", Place::Arithmetic),
        ("cat <<EOF\n{{ x }}\nEOF", Place::HereDocument),
        ("cat <<'EOF'\na {{ x }}\nEOF", Place::HereDocument),
        ("cat <<A; cat <<B\n'\nA\n{{ x }}\nB", Place::HereDocument),
        ("cat <<{{ x }}\n", Place::HereDocumentMark),
        ("cat << E{{ x }}\n", Place::HereDocumentMark),
        ("true # {{ x }}", Place::Comment),
        ("true;# {{ x }}", Place::Comment),
        ("echo \\{{ x }}", Place::Escaped),
        ("echo ${{ x }}", Place::Dollar),
        ("echo \"${{ x }}\"", Place::Dollar),
        ("echo $'a' {{ x }}", Place::Unsure),
        ("echo ${a:-\"b\"} {{ x }}", Place::Unsure),
        ("(( a << 2 )) {{ x }}", Place::Unsure),
        (
            "echo \"$(case x in a) echo \"{{ y }}\";; esac)\"",
            Place::Unsure,
        ),
        ("cat <<EOF\na\\\nEOF\n{{ x }}\nEOF", Place::Unsure),
        (
            "{% if a %}\"{% else %}\"{% endif %}{{ x }}\"",
            Place::Uneven,
        ),
        ("a{% if b %}#{% endif %} {{ x }}", Place::Unsure),
        ("cat <<A $(echo\n'\nA\n) {{ x }}", Place::Unsure),
        (
            "echo \"$({% if a %}case{% endif %} x) {{ x }}",
            Place::Unsure,
        ),
        ("(a)#b {{ x }}", Place::Comment),
        ("${#x} #} {{ x }}", Place::Unsure),
        ("# it's\necho '{{ x }}'", Place::SingleQuotes),
        ("cat <<EOF\n'\nEOF\necho '{{ x }}'", Place::SingleQuotes),
        ("docker ps --format '{{ x }}'", Place::SingleQuotes),
    ] {
        assert_eq!(place(text), Some(expected), "{text}");
    }
}

#[test]
fn the_place_is_the_tag() {
    let text = "echo é '{{ x }}' {{ y }}";
    assert_eq!(&text[misplaced(text).unwrap().range], "{{ x }}");
    assert_eq!(
        misplaced(text).unwrap().to_string(),
        "a value inside single quotes"
    );
}

#[test]
fn texts_without_values_are_never_refused() {
    for text in [
        "echo '",
        "${",
        "`",
        "$((",
        "cat <<",
        "{{",
        "{%",
        "\\",
        "cat <<EOF\n",
    ] {
        if !text.contains("{{") {
            assert_eq!(misplaced(text), None, "{text}");
        }
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[a'\"`$(){}<>#\\\\ \n\té%-]{0,40}") {
        let _ = misplaced(&text);
    }

    /// Whatever closes before a value leaves it allowed, whatever stays open refuses it.
    #[test]
    fn closed_quotes_change_nothing(parts in prop::collection::vec(0_usize..6, 0..8), open in 0_usize..3) {
        let closed = ["'a\"b'", "\"a'b\"", "`d`", "$(e 'f')", "\"$(g \"h\")\"", "\\'"];
        let text: String = parts.iter().flat_map(|&part| [closed[part], " "]).collect();
        prop_assert_eq!(misplaced(&format!("{text}{{{{ x }}}}")), None);
        let opened = ["'", "\"", "`"][open];
        let text = format!("{text}{opened}{{{{ x }}}}");
        prop_assert!(misplaced(&text).is_some());
    }
}
