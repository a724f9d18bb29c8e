//! What editors and their server find.

pub use crate::common_stage::Stage;

impl Stage {
    /// A stage.
    pub fn new() -> Self {
        // What goes over the line is kept beside it, to explain a failure.
        let body = "export AT='{at}' PROGRAM='{program}'\n\
                    tee -a \"$AT/server.in\" | sh -c 'echo $$ >> \"$AT/server.pids\"; exec \"$PROGRAM\" \"$@\" 2>> \"$AT/server.log\"' org-agent \"$@\" | tee -a \"$AT/server.out\"";
        let mut stage = Self::with("editor-", body);
        stage.more = vec![
            ("TERM", "xterm-256color".to_owned()),
            ("ORG_AGENT_PROGRAM", stage.program().to_str().unwrap().to_owned()),
            ("ORG_AGENT_MODEL", "fake-model".to_owned()),
            ("OPENAI_BASE_URL", stage.model.base_url()),
        ];
        stage
    }

    /// What may explain a failure: the end of what the server was told, said, and wrote to its log.
    pub fn trouble(&self) -> String {
        self.ends(&["server.in", "server.out", "server.log"], 6_000)
    }
}
