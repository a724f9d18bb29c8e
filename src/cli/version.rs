//! `org-agent --version`: what this program is, and what it was built from. `build.rs` finds it out.

/// The version with the facts of the build: what to put into a bug report.
pub(super) const LONG: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\ncommit: ",
    env!("ORG_AGENT_BUILD_COMMIT"),
    "\ntarget: ",
    env!("ORG_AGENT_BUILD_TARGET"),
    ", linked ",
    env!("ORG_AGENT_BUILD_LINKED"),
    "\nprofile: ",
    env!("ORG_AGENT_BUILD_PROFILE"),
    "\nfeatures: ",
    env!("ORG_AGENT_BUILD_FEATURES"),
    "\ncompiler: ",
    env!("ORG_AGENT_BUILD_RUSTC"),
);
