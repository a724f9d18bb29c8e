//! Templates by themselves: what they say, what is missing, and hostile ones.

use proptest::prelude::*;

use super::*;

const STEPS_OF_A_CALL: u64 = 2_000_000;

fn data() -> Datum {
    let tool =
        |name: &str, state: &str| Datum::plist([("name", Datum::str(name)), ("state", Datum::str(state))]);
    Datum::plist([
        ("user", Datum::str("Ada")),
        ("user-name", Datum::str("Ada L.")),
        ("n", Datum::Int(3)),
        ("yes", Datum::T),
        ("nothing", Datum::Nil),
        ("text", Datum::str("one\ntwo\n\nthree")),
        ("role", Datum::keyword("user")),
        ("tools", Datum::list([tool("shell", "confined"), tool("insert", "ready")])),
        ("words", Datum::list(["b", "a"].map(Datum::str))),
    ])
}

fn filled(text: &str) -> Result<String, String> {
    let template =
        Template::new("t", 10, text.to_owned()).map_err(|no| format!("{}: {}", no.line, no.message))?;
    match template.fill("n.org", &Datum::Nil, Some(Arc::new(data())), STEPS_OF_A_CALL).text {
        Ok(text) => Ok(text),
        Err(Unfilled::Wrong { message, .. }) => Err(message),
        Err(Unfilled::Steps) => Err("steps".to_owned()),
    }
}

#[track_caller]
fn says(text: &str, expected: &str) {
    assert_eq!(filled(text).as_deref(), Ok(expected), "{text}");
}

#[track_caller]
fn fails(text: &str, why: &str) {
    let error = filled(text).expect_err(text);
    assert!(error.contains(why), "{text}: {error}");
}

#[test]
fn variables_blocks_and_filters() {
    says(
        "Hello {{ user }}, {{ user_name }}: {{ n }} {{ role }} **bold** {{'{{'}} {# not said #}",
        "Hello Ada, Ada L.: 3 user **bold** {{ ",
    );
    says("{% raw %}{{ user }}{% endraw %}", "{{ user }}");
    says(
        "Tools:\n{% for tool in tools %}\n  - {{ tool.name }} ({{ tool[\"state\"] }})\n{% else %}\nnone\n{% endfor %}\nend\n",
        "Tools:\n  - shell (confined)\n  - insert (ready)\nend",
    );
    says(
        "{% for w in nothing %}x{% else %}none{% endfor %}{% if nothing %}y{% elif yes %}z{% endif %}",
        "nonez",
    );
    says("{% if n == 3 and not nothing and \"a\" in words %}three{% else %}other{% endif %}", "three");
    says(
        "{{ mode | default(\"text\") }} {{ mode is defined }} {{ 'x' if mode is not defined }}",
        "text False x",
    );
    says("{{ nothing | default('none', true) }}", "none");
    says(
        "{{ words | join(', ') }} {{ tools | join('; ', attribute='name') }} {{ tools | length }}",
        "b, a shell; insert 2",
    );
    says("{{ words | first }}{{ words | last }}{{ user | upper | lower | capitalize }}", "baAda");
    says(
        "{{ text | indent(2) }}|{{ ' x ' | trim }}|{{ text | replace('o', '0') | truncate(5) }}",
        "one\n  two\n\n  three|x|0ne\ntw…".replace("tw…", "t…").as_str(),
    );
    says(
        "{% set name = user | upper %}{{ name }}{% set all %}<{{ name }}>{% endset %}{{ all }}{% with a = n %}{{ a }}{% endwith %}",
        "ADA<ADA>3",
    );
    says(
        "{% filter upper %}{{ user }}{% endfilter %} {% for w in words %}{{ loop.index }}{{ w }}{{ ', ' if not loop.last }}{% endfor %}",
        "ADA 1b, 2a",
    );
    says("  {%- if yes -%}  a  {%- endif -%}  ", "a");
}

#[test]
fn what_is_given_goes_before_the_context() {
    let template = Template::new("t", 1, "{{ user }} {{ n }} {{ my_own }}".to_owned()).unwrap();
    let given = Datum::plist([("user", Datum::str("Bob")), ("my-own", Datum::Float(1.5))]);
    let filled = template.fill("n.org", &given, Some(Arc::new(data())), STEPS_OF_A_CALL);
    assert_eq!(filled.text.unwrap(), "Bob 3 1.5");
    assert!(filled.steps > 0 && filled.steps < 200, "{}", filled.steps);
}

#[test]
fn what_is_missing_is_named_with_its_line() {
    fails("a\n{{ mode }}", "the template \"t\" (n.org:11): `mode` is not there");
    fails("\n\n{% for a in mode %}{% endfor %}", "(n.org:12): `mode` is not there");
    fails("{% if mode %}{% endif %}", "`mode` is not there");
    fails("{{ mode | upper }}", "(n.org:10): `mode` is not there");
    fails("{{ mode.x }}", "`mode` is not there");
    fails("{{ tools | first | upper }}", "is no text");
    fails("{% for tool in tools %}{{ tool.nam }}{% endfor %}", "`tool.nam` is not there");
    fails("{{ tools }}", "a sequence is no text");
    fails("{{ tools[0] }}", "a map is no text");
    fails("{{ user | nosuch }}", "nosuch");
    fails("{{ now() }}", "now");
    fails("{{ user.upper() }}", "upper");
    fails("{{ 'a' is nosuch }}", "nosuch");
}

#[test]
fn what_does_not_parse_says_where() {
    fails("a\n{{ user", "11: the template \"t\": unexpected end of input");
    fails("\n\n{% for x in %}", "12: the template");
    fails("a\n\n{% if yes %}\nb", "the template");
    fails("{% endif %}", "10: the template");
    for tag in [
        "include 'x'",
        "import 'x' as y",
        "extends 'x'",
        "macro f()",
        "call f()",
        "block b",
        "autoescape true",
        "do x",
    ] {
        fails(&format!("\n{{% {tag} %}}"), "11: the template \"t\": there is no tag");
    }
    for text in ["[1, 2]", "{1: 2}", "(1, 2)", "words[1:]", "1, 2", "f(*words)", "f(**words)", "[]"] {
        fails(&format!("{{{{ {text} }}}}"), "10: the template");
    }
    for text in ["1 + 1", "2 * 3", "words * 2", "2 ** 3", "user ~ 'x'", "4 / 2", "5 // 2", "5 % 2"] {
        fails(&format!("{{{{ {text} }}}}"), "do not calculate");
    }
    fails(&"x".repeat(MAX_TEXT + 1), "more than 32 KiB");
}

/// Each ends, with a text of bounded size or an error, in a thread as small as those that evaluate notes.
#[test]
fn hostile_templates_end() {
    let fill = |unit: &str| unit.repeat(MAX_TEXT / unit.len());
    let chain = |unit: &str| {
        let mut all = format!("{{{{ user{} }}}}", unit.repeat(190 / unit.split_whitespace().count().max(1)));
        all.truncate(all.floor_char_boundary(MAX_TEXT));
        vec![format!("{{{{ user{} }}}}", fill(unit)), all]
    };
    let mut hostile: Vec<String> = Vec::new();
    for unit in [
        ".b",
        "[0]",
        "()",
        "|upper",
        "|d(1)",
        " and user",
        " is defined",
        " < 1",
        " in user",
        " if user",
        "-1",
        " == user",
    ] {
        hostile.extend(chain(unit));
    }
    for unit in ["not ", "-", "(", "[", "f(", "user if user else ", "user["] {
        hostile.push(format!("{{{{ {} user }}}}", fill(unit)));
        hostile.push(format!("{{{{ {} user }}}}", unit.repeat(60)));
        hostile.push(format!("{{{{ {} user }}}}", unit.repeat(15)));
    }
    for unit in [
        "{% if yes %}",
        "{% for x in words %}",
        "{% for x in words %}{{ text }}",
        "{% raw %}",
        "{#",
        "{{",
        "{%",
        "{% set a %}",
        "{% with a = user %}",
        "{% filter upper %}",
        "{% if yes %}{% elif yes %}",
        "{{ user }}",
        "{% set a = user %}",
        "{% set user %}{{ user }}{{ user }}{% endset %}",
        "{{ text | replace('o', text) }}",
        "{{ text | indent(80, true) }}",
        "\n",
        "{% else %}",
        "{% endif %}",
        "\u{0}",
        "é{{'é'}}",
        "{% filter indent(80, true) %}{{ text }}",
    ] {
        hostile.push(fill(unit));
        hostile.push(unit.repeat(20));
    }
    hostile.push(format!("{}x{}", "{% for x in words %}".repeat(20), "{% endfor %}".repeat(20)));
    hostile.push(format!("{{% if n == 1 %}}{}{{% endif %}}", "{% elif n == 2 %}".repeat(64)));
    hostile.push("{% for x in words recursive %}{{ loop(words) }}{% endfor %}".to_owned());
    hostile.push(
        "{% for x in words recursive %}{{ x }}{{ loop(words) }}{{ loop(words) }}{% endfor %}".to_owned(),
    );
    hostile.push(format!(
        "{{% set a = 'x' %}}{}{{{{ a }}}}",
        "{% set a %}{{ a }}{{ a }}{% endset %}".repeat(40)
    ));
    hostile.push(format!(
        "{{% set a = 'ooooooooo' %}}{}{{{{ a }}}}",
        "{% set a = a | replace('o', a) %}".repeat(40)
    ));
    for text in hostile {
        if let Ok(text) = filled(&text) {
            assert!(text.len() <= MAX_OUTPUT);
        }
    }
}

#[test]
fn steps_bound_what_is_done() {
    let deep = format!("{}x{}", "{% for x in words %}".repeat(20), "{% endfor %}".repeat(20));
    let template = Template::new("t", 1, deep).unwrap();
    let fill = |steps| template.fill("n.org", &Datum::Nil, Some(Arc::new(data())), steps);
    let all = fill(STEPS_OF_A_CALL);
    assert!(
        matches!(&all.text, Err(Unfilled::Wrong { message, .. }) if message.contains("too much")),
        "{all:?}"
    );
    assert_eq!(all.steps, STEPS * FUEL);
    assert_eq!(fill(400), Filled { text: Err(Unfilled::Steps), steps: 400 });
    assert_eq!(fill(0).text, Err(Unfilled::Steps));
    let many = Datum::list((0..5_000).map(Datum::Int));
    let filled = template.fill("n.org", &Datum::plist([("many", many)]), None, STEPS_OF_A_CALL);
    assert!(matches!(filled.text, Err(Unfilled::Wrong { message, .. }) if message.contains("4000 parts")));
}

#[test]
fn a_set_has_the_later_of_one_name() {
    let template = |text: &str| Arc::new(Template::new("a", 1, text.to_owned()).unwrap());
    let mut set = Set::default();
    set.add("below.org", &[template("below")]);
    set.add("own.org", &[template("first"), template("second")]);
    assert_eq!(set.names(), ["a"]);
    let filled = set.fill("a", &Datum::Nil, None, STEPS_OF_A_CALL).unwrap();
    assert_eq!(filled.text.unwrap(), "second");
    assert!(set.fill("b", &Datum::Nil, None, STEPS_OF_A_CALL).is_none());
    assert!(set.shared().is_some() && Set::default().shared().is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_text_is_a_template_or_an_error(text in any::<String>()) {
        if let Ok(out) = filled(&text) {
            prop_assert!(out.len() <= MAX_OUTPUT);
        }
    }

    #[test]
    fn any_pieces_of_templates_end_the_same_each_time(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "{{", "}}", "{%", "%}", "{#", "#}", "{%-", "-}}", " user ", " words ", " text ", "tools", ".", "name", "[", "]", "(", ")",
            "|", "join", "upper", "default", "first", "replace", "'a'", "\"", "3", ",", "=", "==", " in ", " is ", " not ", "defined",
            "{% for x in words %}", "{% endfor %}", "{% if ", "{% else %}", "{% endif %}", "{% set x = ", "{% endset %}", "{{ x }}",
            "{% raw %}", "{% endraw %}", "\n", " - ", "loop", "recursive", "{% filter upper %}", "{% endfilter %}", "é", "~", "*", ":",
        ]), 0..60),
    ) {
        let text = pieces.concat();
        if let Err(no) = Template::new("t", 1, text.clone()) {
            prop_assert!((1..=text.split('\n').count()).contains(&no.line), "{}: {}", no.line, no.message);
        }
        let first = filled(&text);
        prop_assert_eq!(&filled(&text), &first);
        if let Ok(out) = first {
            prop_assert!(out.len() <= MAX_OUTPUT);
        }
    }
}
