//! `org-agent --version`: what this program is, and what it was built from. `build.rs` finds out what the compiler does not say.

#[cfg(target_feature = "crt-static")]
macro_rules! linked {
    () => {
        "statically"
    };
}
#[cfg(not(target_feature = "crt-static"))]
macro_rules! linked {
    () => {
        "dynamically"
    };
}

/// The version with the facts of the build: what to put into a bug report.
pub(super) const LONG: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\ncommit: ",
    env!("ORG_AGENT_BUILD_COMMIT"),
    "\ntarget: ",
    env!("ORG_AGENT_BUILD_TARGET"),
    ", linked ",
    linked!(),
    "\nprofile: ",
    env!("ORG_AGENT_BUILD_PROFILE"),
    "\nfeatures: ",
    env!("ORG_AGENT_BUILD_FEATURES"),
    "\ncompiler: ",
    env!("ORG_AGENT_BUILD_RUSTC"),
);
