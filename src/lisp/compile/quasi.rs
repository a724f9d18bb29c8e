//! Backquote: a template becomes calls of `list` and `append`.

use super::super::builtin;
use super::super::code::{Mode, Op};
use super::super::fault::Kind;
use super::super::names;
use super::super::syntax::{Id, Node};
use super::{Compiled, Compiler, Task, act};

impl Compiler<'_> {
    /// Plans one task that pushes what the template `id` makes.
    pub(super) fn quasi(&mut self, id: Id) -> Compiled {
        self.plan(vec![act(move |c| c.template(id))]);
        Ok(())
    }

    fn template(&mut self, id: Id) -> Compiled {
        self.span = self.tree.span(id);
        let dotted = self.tree.dotted(id).map(<[Id]>::to_vec);
        let items = match self.tree.node(id) {
            Node::List(..) => self.tree.items(id).unwrap_or(&[]).to_vec(),
            Node::Dotted(..) => dotted.clone().unwrap_or_default(),
            _ => return self.push_datum(id, Mode::Single),
        };
        match (self.tree.head(id), items.as_slice()) {
            (Some(names::UNQUOTE), [_, form]) => {
                self.plan(vec![Task::Form(*form, Mode::Single)]);
                return Ok(());
            }
            (Some(names::SPLICE), _) => return self.bad(",@ stands where there is no list", "Write `(,@x)."),
            (Some(names::QUASIQUOTE), _) => {
                return self.fail(
                    Kind::Unsupported,
                    "a backquote in a backquote is not there",
                    "Use list and append.",
                );
            }
            _ => {}
        }
        let call = |name: &str, args: usize| {
            let (target, args) = (builtin::find(name).unwrap_or(0), u16::try_from(args).unwrap_or(u16::MAX));
            Task::Op(Op::CallBuiltin { target, args, mode: Mode::Single })
        };
        let (mut tasks, mut run, mut segments) = (Vec::new(), 0, 0);
        let count = items.len();
        if count > 60_000 {
            return self.bad("a template with more than 60,000 elements", "Build the list in parts.");
        }
        for (at, item) in items.into_iter().enumerate() {
            let tail = dotted.is_some() && at + 1 == count;
            let splice = self.tree.head(item) == Some(names::SPLICE);
            if (splice || tail) && run > 0 {
                tasks.push(call("list", run));
                (run, segments) = (0, segments + 1);
            }
            if splice {
                let Some(&[_, form]) = self.tree.items(item) else { return self.usage("`(,@list)") };
                tasks.push(Task::Form(form, Mode::Single));
                segments += 1;
            } else {
                tasks.push(act(move |c| c.template(item)));
                if tail {
                    segments += 1;
                } else {
                    run += 1;
                }
            }
        }
        if run > 0 {
            tasks.push(call("list", run));
            segments += 1;
        }
        if segments > 1 {
            tasks.push(call("append", segments));
        }
        self.plan(tasks);
        Ok(())
    }
}
