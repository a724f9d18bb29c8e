/** The text of a chat, without a server. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as layout from '../src/layout';

const S = ':PROPERTIES:\n:OA_SESSION: s1\n:END:\n';
const E = ':PROPERTIES:\n:OA_EVENT: e1\n:END:\n';
const A = ':PROPERTIES:\n:OA_ACT: a1\n:END:\n';

/** What becomes of a text. */
function check(before: string, edits: layout.Edit[], after: string): void {
  assert.equal(layout.apply(before, edits), after);
}

test('an input area is made where there is none', () => {
  check('', layout.ensureInput(''), '* USER\n');
  check('Notes', layout.ensureInput('Notes'), 'Notes\n* USER\n');
  check('* USER\nHi', layout.ensureInput('* USER\nHi'), '* USER\nHi');
  check(`* USER\n${E}Hi\n`, layout.ensureInput(`* USER\n${E}Hi\n`), `* USER\n${E}Hi\n* USER\n`);
});

test('a draft is what stands below the last prompt that was not sent', () => {
  assert.equal(layout.draft(`* USER\n${E}Old\n* USER\n\n  Grüße 🙂\nmore \n`), 'Grüße 🙂\nmore');
  assert.equal(layout.draft('* USER\r\nOne\r\nTwo\r\n'), 'One\nTwo');
  assert.equal(layout.draft('x\r* USER\ny'), '', 'a heading begins a line');
});

test('a prompt that was sent gets its drawer, and a new area', () => {
  const cases: [string, string][] = [
    ['* USER\nHi', `${S}* USER\n${E}Hi\n* USER\n`],
    ['* USER\n\n\nHi  \n\n', `${S}* USER\n${E}Hi\n* USER\n`],
    ['* USER\nHi\nand this', `${S}* USER\n${E}Hi\n* USER\nand this`],
    ['* USER\nHi and this', `${S}* USER\n${E}Hi\n* USER\nand this`],
    ['* USER\nHim', `${S}* USER\n${E}Hi\n* USER\nHim`],
    ['* USER\nAll else', `${S}* USER\n${E}Hi\n* USER\nAll else`],
    ['Notes', `${S}Notes\n* USER\n${E}Hi\n* USER\n`],
    [':PROPERTIES:\n:ID: x\n:END:\n* USER\nHi', `:PROPERTIES:\n:OA_SESSION: s1\n:ID: x\n:END:\n* USER\n${E}Hi\n* USER\n`],
  ];
  for (const [before, after] of cases) check(before, layout.writePrompt(before, 's1', 'e1', 'Hi'), after);
  const special = '* USER\nA (b) [c] $d\\ {2} /e/ -f';
  check(special, layout.writePrompt(special, 's1', 'e1', 'A (b) [c] $d\\ {2} /e/ -f'), `${S}${special.replace('* USER\n', `* USER\n${E}`)}\n* USER\n`);
});

test('a reply stands below its prompt, and once', () => {
  const before = `${S}* USER\n${E}Hi\n* USER\ntyped meanwhile`;
  const after = `${S}* USER\n${E}Hi\n** ASSISTANT\n${A}Hello\n* USER\ntyped meanwhile`;
  for (const said of ['Hello', 'Hello\n', 'Hello\n\n']) check(before, layout.writeReply(before, 'e1', 'a1', said), after);
  check(after, layout.writeReply(after, 'e1', 'a1', 'Hello'), after);
  const two = before.replace('typed', `:PROPERTIES:\n:OA_EVENT: e2\n:END:\ntyped`);
  assert.match(layout.apply(two, layout.writeReply(two, 'e1', 'a1', 'Hello')), /Hi\n\*\* ASSISTANT\n[^*]*Hello\n\* USER\n:P/);
  check('', layout.writeReply('', undefined, 'a1', 'Hello'), `** ASSISTANT\n${A}Hello\n`);
});

test('what answered a prompt is taken away', () => {
  const before = `* USER\n${E}Hi\n* USER\nmore`;
  const answered = layout.apply(before, layout.writeReply(before, 'e1', 'a1', 'Hello\n*** A heading'));
  check(answered, layout.removeReplies(answered, 'e1'), before);
  check(before, layout.removeReplies(before, 'e1'), before);
});

test('a drawer without an end is none', () => {
  assert.equal(layout.parse(':PROPERTIES:\n:OA_SESSION: s1\ntext').session, undefined);
  assert.equal(layout.parse(S).session, 's1');
  assert.deepEqual(layout.replies(`** ASSISTANT\n${A}x`), ['a1']);
});

test('a command shows as what it is', () => {
  assert.equal(layout.legible('printf %s grün >&2'), '| printf %s grün >&2');
  assert.equal(layout.legible('a\n\nDirectory: /safe'), '| a\n| \n| Directory: /safe');
  assert.equal(layout.legible('a\r\tb\u00a0\u202e\u3164'), '| a\\u{d}\\u{9}b\\u{a0}\\u{202e}\\u{3164}');
  assert.equal(layout.oneLine('x\nSandbox: none\u2028y'), 'x Sandbox: none y');
});
