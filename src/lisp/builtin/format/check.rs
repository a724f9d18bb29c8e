//! What can be said of a control string before it is used: whether its directives are there, and how many arguments
//! they take at least.

use super::super::super::core::Result;
use super::{Directive, MAX_NESTING, Param, bad, directive, enclosed, few};

/// How many arguments were taken, as long as that can be told without knowing them.
struct Count {
    next: usize,
    needs: usize,
    known: bool,
}

impl Count {
    fn take(&mut self, count: usize) {
        self.next += count;
        self.needs = self.needs.max(self.next);
    }

    /// Counts what a directive takes itself.
    fn directive(&mut self, found: &Directive) {
        let own = found.params.iter().filter(|param| matches!(param, Param::Argument)).count();
        match found.letter {
            'a' | 's' | 'd' | 'b' | 'o' | 'x' | 'f' | '$' => self.take(own + 1),
            '%' | '&' | '~' | '|' => self.take(own),
            'c' => self.take(1),
            'p' => {
                // It looks at the one before again.
                self.next = self.next.saturating_sub(usize::from(found.colon));
                self.take(1);
            }
            '{' => {
                self.take(own + usize::from(!found.at));
                // The rest are its own.
                self.known &= !found.at;
            }
            '[' => {
                let chooses = found.at || found.colon || found.params.is_empty();
                self.take(if found.at || found.colon { 1 } else { own + usize::from(chooses) });
                self.known = false;
            }
            '*' | '^' => self.known = false,
            _ => {}
        }
    }
}

/// Whether the control string can be used with so many arguments. More than it takes are allowed.
pub fn check(control: &str, given: usize) -> Result<()> {
    let mut count = Count { next: 0, needs: 0, known: true };
    // Texts that are still to be read, how deep they are, and whether they are sure to be used once.
    let mut work = vec![(control, 0, true)];
    while let Some((text, depth, once)) = work.pop() {
        if depth > MAX_NESTING {
            return bad(format!("directives of format nest more than {MAX_NESTING} deep"));
        }
        let Some(tilde) = text.find('~') else { continue };
        let (found, mut after) = directive(&text[tilde + 1..])?;
        if once && count.known {
            count.directive(&found);
        }
        let close = match found.letter {
            '{' => '}',
            '[' => ']',
            '(' => ')',
            'a' | 's' | 'd' | 'b' | 'o' | 'x' | 'f' | '$' | 'c' | 'p' | '%' | '&' | '~' | '|' | '\n'
            | '*' | '^' => {
                work.push((after, depth, once));
                continue;
            }
            letter => return bad(format!("format has no directive ~{letter}")),
        };
        let (parts, _, rest) = enclosed(after, close)?;
        after = rest;
        work.push((after, depth, once));
        // Of the parts of the others only the first is used.
        let used = if close == ']' { parts.len() } else { 1 };
        work.extend(parts.into_iter().take(used).map(|part| (part, depth + 1, once && close == ')')));
    }
    if count.needs > given { Err(few(Some((count.needs, given)))) } else { Ok(()) }
}
