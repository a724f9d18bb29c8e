//! The table of well-known tokens, and how one is recognised.
//!
//! A rule decides with the text it has read, never with what follows: once its least number of characters is there,
//! it holds, and what may belong to the token is masked as it comes. So little is held back, and a mask beside a
//! token cannot change what the token is. The table names formats that vendors publish; the last column is the
//! vendor, or the id of the rule of gitleaks (MIT) that describes the same format.

use std::sync::LazyLock;

use super::block::Block;
use super::units::{Seen, Units};
use super::{Find, Hit, Tail, keys};

/// How many characters of a token are enough where the text was cut.
const STUB: usize = 8;

/// Within how many characters of a token its first digit must come.
const DIGIT: usize = 64;

/// How long `user:password@` may be.
const USER_INFO: usize = 512;

/// Within how many characters after its first line a private key must begin; there may be headers.
const HEADERS: usize = 200;

/// How many characters of base64 in a row begin a private key.
const LINE: usize = 32;

/// How a mask begins.
const OPENING: &str = "[redacted: ";

/// Which characters a part of a token has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Alnum,
    /// Upper-case letters and digits.
    Upper,
    Hex,
    Digit,
    /// Letters, digits, `_` and `-`.
    Word,
    /// The same and the point.
    Dotted,
    /// Both alphabets of base64, and its padding.
    Base64,
    /// What `Authorization` takes: base64 and `.~`.
    Token,
    Blank,
    /// What stands between the name of a header or variable and its value.
    Assign,
}

impl Class {
    pub(super) const fn has(self, byte: u8) -> bool {
        match self {
            Self::Alnum => byte.is_ascii_alphanumeric(),
            Self::Upper => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Self::Hex => byte.is_ascii_hexdigit(),
            Self::Digit => byte.is_ascii_digit(),
            Self::Word => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'),
            Self::Dotted => Self::Word.has(byte) || byte == b'.',
            Self::Base64 => Self::Word.has(byte) || matches!(byte, b'+' | b'/' | b'='),
            Self::Token => Self::Base64.has(byte) || matches!(byte, b'.' | b'~'),
            Self::Blank => matches!(byte, b' ' | b'\t'),
            Self::Assign => matches!(byte, b' ' | b'\t' | b'"' | b'\'' | b':' | b'=' | b'>'),
        }
    }
}

/// What follows the beginning of a rule.
enum Step {
    /// These words.
    Says(&'static str),
    /// From one to another number of these.
    Some(Class, usize, usize),
    /// One of these words, in any case, and blanks.
    Scheme(&'static [&'static str]),
    /// The mask begins here, not at the beginning.
    Hide,
    /// No `$`: a variable of a shell is no password.
    NoVariable,
    /// The rest of the token: at least so many, and all that follow.
    Rest(Class, usize),
    /// The same, with a digit among the first: for beginnings that words have, too.
    Digits(Class, usize),
    /// The rest of `user:password@`; the mask begins after the colon and ends before the last such sign.
    Password,
    /// The rest of the first line of a private key, and the key's beginning.
    KeyBlock,
}
use Step::{Digits, Hide, KeyBlock, NoVariable, Password, Rest, Says, Scheme, Some as Many};

struct Rule {
    name: &'static str,
    /// How it may begin. In lower case if `fold`.
    heads: &'static [&'static str],
    /// Whether letters of the beginning may be of any case.
    fold: bool,
    /// Whether the beginning must not continue a word.
    bounded: bool,
    steps: &'static [Step],
    /// Where the format is described.
    #[cfg_attr(not(test), expect(dead_code, reason = "for the reader of the table, and its test"))]
    source: &'static str,
}

/// A rule that begins so distinctly that it may stand anywhere.
const fn sure(
    name: &'static str,
    heads: &'static [&'static str],
    steps: &'static [Step],
    source: &'static str,
) -> Rule {
    Rule { name, heads, fold: false, bounded: false, steps, source }
}

/// A rule that begins with a word.
const fn word(
    name: &'static str,
    heads: &'static [&'static str],
    steps: &'static [Step],
    source: &'static str,
) -> Rule {
    Rule { name, heads, fold: false, bounded: true, steps, source }
}

/// A rule that begins with a name in any case, also at the end of a longer one.
const fn fold(
    name: &'static str,
    heads: &'static [&'static str],
    steps: &'static [Step],
    source: &'static str,
) -> Rule {
    Rule { name, heads, fold: true, bounded: false, steps, source }
}

use Class::{Alnum, Assign, Base64, Blank, Digit, Dotted, Hex, Token, Upper, Word};

#[rustfmt::skip]
const RULES: &[Rule] = &[
    // Model providers.
    sure("anthropic-key", &["sk-ant-"], &[Rest(Word, 20)], "gitleaks anthropic-api-key"),
    sure("openai-key", &["sk-proj-", "sk-svcacct-", "sk-admin-"], &[Digits(Word, 20)], "gitleaks openai-api-key"),
    word("openai-key", &["sk-"], &[Digits(Alnum, 32)], "gitleaks openai-api-key, the older format"),
    sure("openrouter-key", &["sk-or-v1-"], &[Rest(Hex, 32)], "OpenRouter, API keys"),
    word("groq-key", &["gsk_"], &[Rest(Alnum, 40)], "Groq, API keys"),
    word("xai-key", &["xai-"], &[Rest(Alnum, 60)], "xAI, API keys"),
    word("perplexity-key", &["pplx-"], &[Rest(Alnum, 40)], "gitleaks perplexity-api-key"),
    word("huggingface-token", &["hf_", "api_org_"], &[Rest(Alnum, 32)], "gitleaks huggingface-access-token"),
    word("replicate-token", &["r8_"], &[Rest(Alnum, 36)], "Replicate, API tokens"),
    sure("langsmith-key", &["lsv2_pt_", "lsv2_sk_"], &[Rest(Hex, 32)], "LangSmith, API keys"),
    // Code and packages.
    sure("github-token", &["ghp_", "gho_", "ghu_", "ghs_", "ghr_"], &[Rest(Alnum, 36)], "GitHub, token prefixes; gitleaks github-pat"),
    sure("github-token", &["github_pat_"], &[Rest(Word, 36)], "gitleaks github-fine-grained-pat"),
    sure("gitlab-token", &["glpat-", "gldt-", "glrt-", "glptt-", "glft-", "glsoat-", "glcbt-", "glimt-", "glagent-", "gloas-", "GR1348941"], &[Rest(Dotted, 20)], "GitLab, token prefixes; gitleaks gitlab-pat"),
    sure("npm-token", &["npm_"], &[Rest(Alnum, 36)], "npm, access tokens; gitleaks npm-access-token"),
    sure("pypi-token", &["pypi-AgE"], &[Rest(Word, 50)], "gitleaks pypi-upload-token"),
    word("rubygems-token", &["rubygems_"], &[Rest(Hex, 48)], "gitleaks rubygems-api-token"),
    word("crates-token", &["cio"], &[Rest(Alnum, 32)], "the registry of Rust packages, API tokens"),
    word("clojars-token", &["CLOJARS_"], &[Rest(Alnum, 60)], "gitleaks clojars-api-token"),
    sure("docker-token", &["dckr_pat_", "dckr_oat_"], &[Rest(Word, 27)], "Docker, access tokens"),
    // Clouds.
    word("aws-key-id", &["AKIA", "ASIA", "ABIA", "ACCA"], &[Rest(Upper, 16)], "AWS, unique identifiers; gitleaks aws-access-token"),
    fold("aws-secret-key", &["aws_secret_access_key", "aws_session_token", "secretaccesskey"], &[Many(Assign, 1, 8), Hide, Digits(Base64, 32)], "AWS, configuration files"),
    word("google-key", &["AIza"], &[Rest(Word, 35)], "gitleaks gcp-api-key"),
    word("google-token", &["ya29."], &[Rest(Word, 20)], "Google, OAuth access tokens"),
    sure("google-secret", &["GOCSPX-"], &[Rest(Word, 24)], "Google, OAuth client secrets"),
    fold("azure-key", &["accountkey=", "sharedaccesskey="], &[Hide, Rest(Base64, 40)], "Azure, connection strings"),
    fold("azure-signature", &["?sig=", "&sig="], &[Hide, Digits(Base64, 43)], "Azure, shared access signatures"),
    sure("digitalocean-token", &["dop_v1_", "doo_v1_", "dor_v1_"], &[Rest(Hex, 64)], "gitleaks digitalocean-pat"),
    sure("doppler-token", &["dp.pt.", "dp.ct.", "dp.sa.", "dp.scim."], &[Rest(Alnum, 40)], "gitleaks doppler-api-token"),
    sure("doppler-token", &["dp.st."], &[Many(Word, 2, 40), Says("."), Rest(Alnum, 40)], "Doppler, token formats"),
    word("flyio-token", &["fo1_", "fm2_", "fm1r_", "fm1a_"], &[Digits(Base64, 43)], "gitleaks flyio-access-token"),
    sure("heroku-key", &["HRKU-AA"], &[Rest(Word, 50)], "gitleaks heroku-api-key-v2"),
    word("databricks-token", &["dapi"], &[Rest(Hex, 32)], "gitleaks databricks-api-token"),
    word("vault-token", &["hvs.", "hvb."], &[Rest(Word, 24)], "HashiCorp, Vault tokens; gitleaks vault-service-token"),
    word("terraform-token", &["atlasv1."], &[Rest(Word, 40)], "HashiCorp, Terraform tokens"),
    sure("pulumi-token", &["pul-"], &[Rest(Hex, 40)], "gitleaks pulumi-api-token"),
    sure("supabase-token", &["sbp_"], &[Rest(Hex, 40)], "Supabase, access tokens"),
    sure("planetscale-token", &["pscale_tkn_", "pscale_pw_", "pscale_oauth_"], &[Rest(Dotted, 32)], "gitleaks planetscale-api-token"),
    sure("tailscale-key", &["tskey-"], &[Digits(Word, 20)], "Tailscale, key prefixes"),
    // Messages, payments, work.
    sure("slack-token", &["xoxb-", "xoxp-", "xoxa-", "xoxr-", "xoxs-", "xoxc-", "xoxd-", "xoxe-", "xoxe.", "xapp-"], &[Digits(Dotted, 16)], "Slack, token types; gitleaks slack-bot-token"),
    fold("slack-webhook", &["hooks.slack.com/services/", "hooks.slack.com/workflows/"], &[Hide, Rest(Base64, 20)], "gitleaks slack-webhook-url"),
    fold("discord-webhook", &["discord.com/api/webhooks/", "discordapp.com/api/webhooks/"], &[Hide, Rest(Base64, 40)], "Discord, webhooks"),
    sure("stripe-key", &["sk_live_", "sk_test_", "rk_live_", "rk_test_", "whsec_"], &[Rest(Alnum, 16)], "Stripe, API keys; gitleaks stripe-access-token"),
    sure("square-token", &["sq0atp-", "sq0csp-"], &[Digits(Word, 22)], "gitleaks square-access-token"),
    sure("shopify-token", &["shpat_", "shpca_", "shppa_", "shpss_"], &[Rest(Hex, 32)], "gitleaks shopify-access-token"),
    sure("sendgrid-key", &["SG."], &[Many(Word, 20, 24), Says("."), Rest(Word, 39)], "gitleaks sendgrid-api-token"),
    word("twilio-key", &["SK"], &[Rest(Hex, 32)], "gitleaks twilio-api-key"),
    sure("brevo-key", &["xkeysib-"], &[Rest(Hex, 64)], "gitleaks sendinblue-api-token"),
    word("telegram-token", &["bot"], &[Many(Digit, 5, 16), Says(":"), Hide, Rest(Word, 34)], "Telegram, Bot API"),
    sure("atlassian-token", &["ATATT3", "ATCTT3"], &[Rest(Base64, 60)], "gitleaks atlassian-api-token"),
    sure("linear-key", &["lin_api_", "lin_oauth_"], &[Rest(Alnum, 40)], "gitleaks linear-api-key"),
    word("notion-token", &["ntn_"], &[Rest(Alnum, 40)], "gitleaks notion-api-token"),
    sure("postman-key", &["PMAK-"], &[Rest(Word, 59)], "gitleaks postman-api-token"),
    sure("grafana-token", &["glsa_", "glc_"], &[Rest(Base64, 32)], "gitleaks grafana-service-account-token"),
    word("newrelic-key", &["NRAK-", "NRJS-", "NRII-"], &[Rest(Word, 19)], "gitleaks new-relic-user-api-key"),
    sure("sentry-token", &["sntrys_", "sntryu_"], &[Rest(Base64, 40)], "gitleaks sentry-org-token"),
    sure("1password-token", &["ops_eyJ"], &[Rest(Base64, 100)], "gitleaks 1password-service-account-token"),
    sure("age-key", &["AGE-SECRET-KEY-1"], &[Rest(Upper, 58)], "gitleaks age-secret-key"),
    // What has no vendor.
    word("jwt", &["eyJ"], &[Many(Word, 10, 512), Says(".eyJ"), Rest(Dotted, 8)], "RFC 7519; gitleaks jwt"),
    fold("authorization", &["bearer"], &[Many(Blank, 1, 4), Hide, NoVariable, Digits(Token, 16)], "RFC 6750; gitleaks curl-auth-header"),
    fold("authorization", &["authorization"], &[Many(Assign, 1, 6), Scheme(&["basic"]), Hide, NoVariable, Rest(Token, 8)], "RFC 7617; gitleaks curl-auth-header"),
    fold("authorization", &["authorization"], &[Many(Assign, 1, 6), Scheme(&["bearer", "token", "apikey"]), Hide, NoVariable, Digits(Token, 8)], "RFC 6750; gitleaks curl-auth-header"),
    fold("authorization", &["authorization", "x-api-key", "private-token"], &[Many(Assign, 1, 6), Hide, NoVariable, Digits(Token, 16)], "gitleaks curl-auth-header"),
    sure("url-password", &["://"], &[Password], "RFC 3986, userinfo; gitleaks curl-auth-user"),
    sure("private-key", &["-----BEGIN "], &[KeyBlock], "RFC 7468; gitleaks private-key"),
];

/// Which rules may begin with a byte.
static BEGINNINGS: LazyLock<Vec<Beginning>> = LazyLock::new(|| {
    let all = || RULES.iter().flat_map(|rule| rule.heads.iter().map(move |head| (rule, *head)));
    let is = |byte: u8, at: usize, rule: &Rule, head: &str| {
        head.as_bytes().get(at) == Some(&if rule.fold { byte.to_ascii_lowercase() } else { byte })
    };
    let beginning = |byte: u8| {
        let rules: Vec<_> = all().filter(|(rule, head)| is(byte, 0, rule, head)).collect();
        let mut seconds = [false; 256];
        for second in 0..=u8::MAX {
            seconds[usize::from(second)] = rules.iter().any(|(rule, head)| is(second, 1, rule, head));
        }
        Beginning { rules, seconds }
    };
    (0..=u8::MAX).map(beginning).collect()
});

/// The rules that begin with a byte, and which bytes may come second.
struct Beginning {
    rules: Vec<(&'static Rule, &'static str)>,
    seconds: [bool; 256],
}

/// Gives `found` all tokens that begin at `at`; true if more text is needed first. `bounded`: no word ends there.
pub(super) fn find(units: &Units, at: usize, bounded: bool, found: &mut Vec<Hit>) -> bool {
    let Seen::Byte(byte) = units.see(at, at) else { return true };
    let beginning = &BEGINNINGS[usize::from(byte)];
    if beginning.rules.is_empty()
        || matches!(units.see(at, at + 1), Seen::Byte(second) if !beginning.seconds[usize::from(second)])
    {
        return false;
    }
    for (rule, head) in &beginning.rules {
        if rule.bounded && !bounded {
            continue;
        }
        match rule.find(head, units, at) {
            Find::Wait => return true,
            Find::Yes(hit) => found.push(hit),
            Find::No => {}
        }
    }
    false
}

impl Rule {
    fn find(&self, head: &str, units: &Units, from: usize) -> Find {
        match self.steps(head, units, from) {
            Ok(hit) => Find::Yes(hit),
            Err(Seen::Open) => Find::Wait,
            Err(_) => Find::No,
        }
    }

    fn steps(&self, head: &str, units: &Units, from: usize) -> Result<Hit, Seen> {
        let mut at = units.says(from, from, head, self.fold)?;
        let (mut hidden, mut to, mut tail) = (from, at, Tail::None);
        for step in self.steps {
            match *step {
                Says(words) => at = units.says(from, at, words, false)?,
                Scheme(words) => {
                    at = one_of(units, from, at, words)?;
                    at = some(units, from, at, Blank, 1, 4)?;
                }
                Password => (hidden, to) = password(units, from, at)?,
                Hide => hidden = at,
                NoVariable => {
                    if let next @ (Seen::Byte(b'$') | Seen::Open) = units.see(from, at) {
                        return Err(next);
                    }
                }
                Many(class, least, most) => at = some(units, from, at, class, least, most)?,
                Rest(class, least) => {
                    to = rest(units, from, at, class, least, false)?;
                    tail = Tail::Run(class, usize::MAX);
                }
                Digits(class, least) => {
                    to = rest(units, from, at, class, least, true)?;
                    tail = Tail::Run(class, usize::MAX);
                }
                KeyBlock => {
                    to = first_line(units, from, at)?;
                    tail = Tail::Block(Block::default());
                }
            }
        }
        Ok(Hit { from: hidden, to, tail, name: self.name })
    }
}

/// Where the least part of the rest of a token ends. Less is enough where the text was cut.
fn rest(
    units: &Units,
    from: usize,
    begin: usize,
    class: Class,
    least: usize,
    digit: bool,
) -> Result<usize, Seen> {
    let (mut at, mut missing) = (begin, digit);
    loop {
        if at - begin >= least && !missing {
            return Ok(at);
        }
        match units.see(from, at) {
            Seen::Byte(byte) if class.has(byte) && at - begin < least.max(DIGIT) => {
                missing &= !byte.is_ascii_digit();
                at += 1;
            }
            other => {
                let enough = at - begin >= STUB.min(least) && !missing;
                return match other {
                    Seen::Shut if enough => Ok(at),
                    Seen::Byte(b'\n') if enough => is_cut(units, from, at).map(|()| at),
                    other => Err(other),
                };
            }
        }
    }
}

/// Whether the words that editors put where they left out something stand in the line after `at`.
fn is_cut(units: &Units, from: usize, at: usize) -> Result<(), Seen> {
    let points = units.says(from, at, "\n[... ", false);
    let sign = units.says(from, at, "\n[\u{2026} ", false);
    match (points, sign) {
        (Ok(_), _) | (_, Ok(_)) => Ok(()),
        (Err(Seen::Open), _) | (_, Err(Seen::Open)) => Err(Seen::Open),
        (Err(other), _) => Err(other),
    }
}

/// The end of what is of `class` at `at`.
fn some(
    units: &Units,
    from: usize,
    begin: usize,
    class: Class,
    least: usize,
    most: usize,
) -> Result<usize, Seen> {
    let mut at = begin;
    loop {
        match units.see(from, at) {
            Seen::Byte(byte) if class.has(byte) && at - begin < most => at += 1,
            Seen::Byte(byte) if !class.has(byte) && at - begin >= least => return Ok(at),
            other => return Err(other),
        }
    }
}

/// The end of the one of `words` that stands at `at`.
fn one_of(units: &Units, from: usize, at: usize, words: &[&str]) -> Result<usize, Seen> {
    let mut no = Seen::Byte(0);
    for word in words {
        match units.says(from, at, word, true) {
            Ok(end) => return Ok(end),
            Err(Seen::Open) => no = Seen::Open,
            Err(_) => {}
        }
    }
    Err(no)
}

/// Where the password of `user:password@` begins and ends. In a URL that is encoded as a whole all delimiters are
/// encoded; else none is, and an encoded one is a part of the password.
fn password(units: &Units, from: usize, begin: usize) -> Result<(usize, usize), Seen> {
    let encoded = units.is_encoded(from);
    let (mut colon, mut end) = (None, None);
    for at in begin..=begin + USER_INFO {
        let seen = units.see(from, at);
        let is_first = colon.is_some_and(|colon| colon + 1 == at);
        match seen {
            Seen::Open => return Err(seen),
            Seen::Byte(b'$') if is_first => return Err(seen),
            Seen::Byte(0x21..=0x7e | 0x80..) if units.is_encoded(at) != encoded => {}
            Seen::Byte(b':') if colon.is_none() => colon = Some(at),
            Seen::Byte(b'@') if colon.is_none() || is_first => return Err(seen),
            Seen::Byte(b'@') => end = Some(at),
            Seen::Byte(byte) if byte > b' ' && byte != 0x7f && !b"/?#\"'`<>{}[]()\\".contains(&byte) => {}
            Seen::Byte(_) | Seen::Shut => break,
        }
    }
    colon.zip(end).map(|(colon, end)| (colon + 1, end)).ok_or(Seen::Byte(0))
}

/// The end of `RSA PRIVATE KEY-----`, if a key follows: a long word of base64, soon. What only speaks of such
/// lines has none.
fn first_line(units: &Units, from: usize, begin: usize) -> Result<usize, Seen> {
    let mut at = begin;
    let end = loop {
        match one_of(units, from, at, &["private key-----", "private key block-----"]) {
            Ok(end) => break end,
            Err(Seen::Open) => return Err(Seen::Open),
            Err(_) => at = some(units, from, at, Upper, 1, 16)?,
        }
        if at - begin > 48 {
            return Err(Seen::Byte(0));
        }
        at = units.says(from, at, " ", false)?;
    };
    let (mut row, mut only) = (0, true);
    for at in end..end + HEADERS {
        match units.see(from, at) {
            Seen::Byte(0) => break,
            Seen::Byte(byte) if Base64.has(byte) => row += 1,
            Seen::Byte(byte) => (row, only) = (0, only && byte.is_ascii_whitespace()),
            Seen::Shut if only && at > end => return Ok(end),
            other => return Err(other),
        }
        if row == LINE {
            return Ok(end);
        }
    }
    Err(Seen::Byte(0))
}

/// The length of the mask that `text` begins with; `Some(None)` if it may become one.
pub(super) fn mask_at(text: &str) -> Option<Option<usize>> {
    static NAMES: LazyLock<Vec<&str>> = LazyLock::new(|| {
        let mut names: Vec<&str> = RULES.iter().map(|rule| rule.name).chain([keys::NAME]).collect();
        names.sort_unstable();
        names.dedup();
        names
    });
    let Some(name) = text.strip_prefix(OPENING) else { return OPENING.starts_with(text).then_some(None) };
    let mut open = None;
    for known in NAMES.iter() {
        if let Some(after) = name.strip_prefix(known) {
            match after.bytes().next() {
                Some(b']') => return Some(Some(OPENING.len() + known.len() + 1)),
                Some(_) => {}
                None => open = Some(None),
            }
        } else if known.starts_with(name) {
            open = Some(None);
        }
    }
    open
}

/// The mask for a secret of this kind.
pub(super) fn mask(name: &str, out: &mut String) {
    out.push_str(OPENING);
    out.push_str(name);
    out.push(']');
}

#[cfg(test)]
mod tests {
    use super::RULES;

    #[test]
    fn every_rule_has_a_name_that_hides_nothing_and_a_source() {
        for rule in RULES {
            assert!(
                !rule.source.is_empty() && !rule.steps.is_empty() && !rule.heads.is_empty(),
                "{}",
                rule.name
            );
            assert!(rule.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
            assert!(rule.heads.iter().all(|head| !rule.fold || *head == head.to_ascii_lowercase()));
        }
    }
}
