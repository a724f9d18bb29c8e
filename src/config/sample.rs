//! The commented sample of `config.toml`, made of the table of all settings.

use super::options::{Default, SECTIONS, Section, Setting};

/// What stands above it.
const HEAD: &str = "\
# The settings of org-agent, all of them, each as it is if you change nothing.
#
# A line with # and no blank behind it holds by default: to change it, take away the # and write another value.
# A line with ## is an example of what is not there by default: to have it, take away both.
# A secret may not stand in this file: name the variable that holds it, or a command that prints it.
#
# What holds now, and why: org-agent config show. What is wrong: org-agent config check.
# A running server takes a change up with the next message.
";

/// What cannot stand beside another setting of the sample.
const INSTEAD: &str = "models.api_key_command";

/// A `config.toml` with every setting, commented out. What has a value by default is as it is by default.
#[must_use]
pub fn sample() -> String {
    let mut out = HEAD.to_owned();
    let outer = SECTIONS.iter().filter(|section| !is_inline(section) && section.settings().next().is_some());
    for section in outer {
        // The head of a single table is no change; one of several tables is one more.
        let mark = if section.many { "##" } else { "" };
        out.push_str(&format!("\n# {}\n{mark}{}\n", section.meaning, section.head()));
        for setting in section.settings() {
            one(setting, section.many, &mut out);
        }
        for inner in SECTIONS.iter().filter(|inner| is_inline(inner) && is_in(inner, section)) {
            table(inner, &mut out);
        }
    }
    out
}

fn one(setting: &Setting, is_example: bool, out: &mut String) {
    let (name, value) = (setting.name(), setting.shown());
    let mut words = setting.meaning.to_owned();
    match setting.default {
        // What stands below says it.
        Default::Value(_) if !is_example => {}
        Default::Value(value) => words.push_str(&format!(" Without it: {value}.")),
        Default::Nothing(what) => words.push_str(&format!(" Without it: {what}.")),
        Default::Required => words.push_str(" It has to be there."),
    }
    if let Some(variable) = setting.variable {
        words.push_str(&format!(" The variable {variable} goes before it."));
    }
    out.push_str(&format!("# {words}\n"));
    let mark = match setting.default {
        _ if setting.key == INSTEAD => "# ",
        Default::Value(_) if !is_example => "#",
        _ => "##",
    };
    out.push_str(&format!("{mark}{name} = {value}\n"));
}

/// A table in braces, on one line.
fn table(section: &Section, out: &mut String) {
    out.push_str(&format!("# {}\n", section.meaning));
    let values: Vec<String> =
        section.settings().map(|setting| format!("{} = {}", setting.name(), setting.shown())).collect();
    let name = section.key.rsplit('.').next().unwrap_or_default();
    out.push_str(&format!("##{name} = {{ {} }}\n", values.join(", ")));
}

/// Whether a table is written in braces in the one around it.
fn is_inline(section: &Section) -> bool {
    !section.many && section.key.contains('.')
}

fn is_in(inner: &Section, outer: &Section) -> bool {
    inner.key.rsplit_once('.').is_some_and(|(above, _)| above == outer.key)
}
