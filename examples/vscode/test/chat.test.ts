/**
 * Chats over the real server, whose program ORG_AGENT_PROGRAM names, and a fake model. Nothing here is a part of VS Code:
 * a document is a string.
 */

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Chat, Chats, type Document, type Host } from '../src/chat';
import * as layout from '../src/layout';
import type { Turn } from '../src/client';
import { beginning, FakeModel, gate, insert, shell } from './fake-model';

/** How long anything may take before a test fails instead of hanging, in milliseconds. */
const GUARD = 60_000;

class StringDocument implements Document {
  /** What it was before each change. */
  readonly history: string[] = [];
  /** So many edits are refused, as if the user had typed. */
  refuse = 0;

  constructor(public now = '') {}

  text(): string {
    return this.now;
  }

  async apply(edits: layout.Edit[]): Promise<boolean> {
    if (this.refuse > 0) {
      this.refuse -= 1;
      this.now += '!';
      return false;
    }
    this.history.push(this.now);
    this.now = layout.apply(this.now, edits);
    return true;
  }

  /** Without the drawers. */
  plain(): string {
    return this.now.replaceAll(/:PROPERTIES:\n:OA_\w+: \S+\n:END:\n/g, '');
  }
}

class World implements Host {
  readonly messages: string[] = [];
  /** Every preview that was shown, and '' when there was none any more. */
  readonly previews: string[] = [];
  readonly chats = new Chats(this);
  private watchers: (() => void)[] = [];

  private constructor(
    readonly model: FakeModel,
    readonly folder: string,
  ) {}

  static async start(t: TestContext): Promise<World> {
    const folder = mkdtempSync(join(tmpdir(), 'org-agent-'));
    mkdirSync(join(folder, 'work'));
    const world = new World(await FakeModel.start(), folder);
    t.after(async () => {
      await world.chats.stop();
      const left = world.model.stop();
      rmSync(folder, { recursive: true, force: true });
      assert.equal(left, 0, 'replies that nobody asked for');
    });
    return world;
  }

  /** The same model and data, as another editor has them. */
  another(t: TestContext): World {
    const other = new World(this.model, this.folder);
    t.after(() => other.chats.stop());
    return other;
  }

  options() {
    const program = process.env.ORG_AGENT_PROGRAM;
    assert.ok(program, 'ORG_AGENT_PROGRAM has to name the server');
    const env: NodeJS.ProcessEnv = {
      PATH: process.env.PATH,
      ORG_AGENT_HOME: join(this.folder, 'home'),
      ORG_AGENT_LOCAL_PORTS: 'none',
      OPENAI_BASE_URL: this.model.baseUrl,
      OPENAI_API_KEY: 'sk-test',
      ORG_AGENT_MODEL: 'fake-model',
    };
    return { program, env, restarts: 3 };
  }

  changed(_chat: Chat, turn?: Turn): void {
    if (turn !== undefined && this.previews.at(-1) !== turn.preview) this.previews.push(turn.preview);
    for (const watcher of this.watchers) watcher();
  }

  tell(message: string): void {
    this.messages.push(message);
    this.changed(undefined as never);
  }

  complain(message: string): void {
    this.tell(message);
  }

  /** Waits until `condition` holds, which is looked at after each change. */
  async until(what: string, condition: () => boolean): Promise<void> {
    if (condition()) return;
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`waited in vain for ${what}: ${this.messages.join('; ')}`)), GUARD);
      const watcher = () => {
        if (!condition()) return;
        clearTimeout(timer);
        this.watchers = this.watchers.filter((each) => each !== watcher);
        resolve();
      };
      this.watchers.push(watcher);
    });
  }

  async chat(document = new StringDocument()): Promise<{ chat: Chat; document: StringDocument }> {
    return { chat: await this.chats.open(document, join(this.folder, 'work')), document };
  }

  async ask(chat: Chat, document: StringDocument, text: string): Promise<void> {
    document.now += text;
    await chat.send();
  }

  async over(chat: Chat): Promise<void> {
    await this.until('the end of the turn', () => ['done', 'failed', 'cancelled'].includes(chat.last?.state ?? ''));
  }
}

test('a chat: preview, commit, layout, history', async (t) => {
  const world = await World.start(t);
  const { opened, open } = gate();
  world.model.push(beginning('Grüße, '), opened, '*Welt* 🙂.\\n- a"))');
  world.model.push(insert('Again.'));
  const { chat, document } = await world.chat();
  await world.ask(chat, document, 'Hello?');
  await world.until('a preview', () => world.previews.includes('Grüße, '));
  assert.ok(!document.now.includes('Grüße'), 'a preview is not in the text');
  open();
  await world.over(chat);
  assert.equal(document.plain(), '* USER\nHello?\n** ASSISTANT\nGrüße, *Welt* 🙂.\n- a\n* USER\n');
  assert.equal(world.previews.at(-1), '', 'the preview is gone');
  assert.match(document.now, /^:PROPERTIES:\n:OA_SESSION: \S+\n:END:\n\* USER\n:PROPERTIES:\n:OA_EVENT: [0-9a-f]{64}\n:END:\nHello/);
  assert.ok(!document.history.at(-1)?.includes('ASSISTANT'), 'the reply is one change');
  await world.ask(chat, document, 'And?');
  await world.over(chat);
  assert.equal(document.plain().split('** ASSISTANT').length, 3);
  assert.deepEqual(world.model.said(1), ['Hello?', insert('Grüße, *Welt* 🙂.\\n- a'), 'And?']);
  const session = chat.session ?? '';
  assert.equal(`${await world.chats.transcript(session)}* USER\n`, document.now, 'the record is what the document is');
  assert.match(await chat.why(document.now.indexOf('Again.')), /And\?/);
  assert.deepEqual((await world.chats.sessions()).map((item) => item.id), [session]);
  assert.ok((await world.chats.skills()).length > 0);
});

test('a rejected reply is taken back', async (t) => {
  const world = await World.start(t);
  const { opened, open } = gate();
  world.model.push(beginning('Sure, here is'), opened, '" "oops', 'stall');
  world.model.push(insert('Repaired.'));
  const { chat, document } = await world.chat();
  await world.ask(chat, document, 'Make a mistake.');
  await world.until('a preview', () => world.previews.includes('Sure, here is'));
  open();
  await world.over(chat);
  const shown = world.previews.indexOf('Sure, here is');
  assert.equal(world.previews[shown + 1], '', 'it was taken back before anything else came');
  assert.equal(document.plain(), '* USER\nMake a mistake.\n** ASSISTANT\nRepaired.\n* USER\n');
});

test('what is typed meanwhile stays, and an edit that comes too late is made anew', async (t) => {
  const world = await World.start(t);
  const { opened, open } = gate();
  world.model.push(beginning('Slowly'), opened, '."))');
  const { chat, document } = await world.chat();
  await world.ask(chat, document, 'Take your time.');
  await world.until('a preview', () => world.previews.includes('Slowly'));
  document.now += 'my next thought';
  document.refuse = 2;
  open();
  await world.over(chat);
  assert.equal(document.plain(), '* USER\nTake your time.\n** ASSISTANT\nSlowly.\n* USER\nmy next thought!!');
});

test('an insert that comes again is put in once, also if it was taken back', async (t) => {
  const world = await World.start(t);
  world.model.push(insert('Once.'));
  const { chat, document } = await world.chat();
  await world.ask(chat, document, 'Say it.');
  await world.over(chat);
  const [act] = layout.replies(document.now);
  assert.ok(act !== undefined && chat.last !== undefined);
  const before = document.now;
  assert.equal(await chat.insert(chat.last, act, 'Twice.'), true);
  assert.equal(document.now, before);
  document.now = document.history.at(-1) ?? '';
  assert.equal(await chat.insert(chat.last, act, 'Twice.'), true);
  assert.deepEqual(layout.replies(document.now), []);
});

test('a command runs when the user says so, edited if they like', async (t) => {
  const world = await World.start(t);
  for (const reply of [shell('echo marker-$((40+2))'), insert('Ran.'), shell('echo marker-$((40+2))'), insert('Not.')]) world.model.push(reply);
  const { chat, document } = await world.chat();
  await world.ask(chat, document, 'Run something.');
  await world.until('a question', () => chat.waiting() !== undefined);
  const turn = chat.waiting();
  assert.ok(turn?.question !== undefined && chat.client !== undefined);
  assert.equal(turn.question.command, 'echo marker-$((40+2))');
  assert.equal(world.model.requests.length, 1, 'nothing goes on before the user decides');
  const { decision } = await chat.client.decide(turn, 'run', 'echo marker-$((40+3))');
  assert.equal(decision, 'allow');
  await world.over(chat);
  assert.match(world.model.said(1).at(-1) ?? '', /exit code: 0\n[^]*\nmarker-43\n/);
  await world.ask(chat, document, 'Again.');
  await world.until('a question', () => chat.waiting() !== undefined);
  const again = chat.waiting();
  assert.ok(again !== undefined);
  await chat.client.decide(again, 'deny');
  await world.over(chat);
  assert.match(world.model.said(3).at(-1) ?? '', /denied/);
  assert.doesNotMatch(world.model.said(3).at(-1) ?? '', /marker-42/);
  await assert.rejects(chat.client.decide(again, 'run'), /does not wait/);
});

test('a turn is cancelled, and asked again in its place', async (t) => {
  const world = await World.start(t);
  world.model.push(beginning('Once upon a time'), 'stall');
  world.model.push(insert('Now.'));
  const { chat, document } = await world.chat();
  await world.ask(chat, document, 'Never mind.');
  await world.until('a preview', () => world.previews.includes('Once upon a time'));
  await chat.cancel();
  await world.over(chat);
  assert.equal(chat.last?.state, 'cancelled');
  assert.equal(world.previews.at(-1), '');
  await chat.retry();
  await world.over(chat);
  assert.equal(document.plain(), '* USER\nNever mind.\n** ASSISTANT\nNow.\n* USER\n');
});

test('an error is said in the text, and makes room for the answer', async (t) => {
  const world = await World.start(t);
  for (let attempt = 0; attempt < 3; attempt++) world.model.push('This is no property list at all.');
  world.model.push(insert('Better.'));
  const { chat, document } = await world.chat();
  await world.ask(chat, document, 'Fail first.');
  await world.over(chat);
  assert.equal(chat.last?.state, 'failed');
  assert.ok(document.now.includes('*System Error:*'));
  await chat.retry();
  await world.over(chat);
  assert.equal(document.plain(), '* USER\nFail first.\n** ASSISTANT\nBetter.\n* USER\n');
});

test('a server that is killed is started again, and the turn goes on when asked', async (t) => {
  const world = await World.start(t);
  world.model.push(beginning('Once upon a time'), 'stall');
  world.model.push(insert('Yes.'));
  const { chat, document } = await world.chat();
  await world.ask(chat, document, 'Go on for ever.');
  await world.until('a preview', () => world.previews.includes('Once upon a time'));
  const pid = chat.client?.pid;
  assert.ok(pid !== undefined);
  process.kill(pid, 'SIGKILL');
  await world.until('the new server', () => world.messages.some((message) => message.includes('interrupted')));
  assert.ok(world.messages.some((message) => message.includes('the server ended')));
  assert.equal(world.previews.at(-1), '');
  await chat.retry();
  await world.over(chat);
  assert.equal(document.plain(), '* USER\nGo on for ever.\n** ASSISTANT\nYes.\n* USER\n');
});

test('what waited is answered in its place in another editor', async (t) => {
  const world = await World.start(t);
  world.model.push(beginning('Once upon a time'), 'stall');
  world.model.push(insert('Second.'));
  world.model.push(insert('Third.'));
  const { chat, document } = await world.chat();
  await world.ask(chat, document, 'One?');
  await world.until('a preview', () => world.previews.includes('Once upon a time'));
  await world.ask(chat, document, 'Two?');
  await world.ask(chat, document, 'Three?');
  await world.chats.stop();
  const other = world.another(t);
  const file = new StringDocument(document.now);
  await other.chat(file);
  await other.until('both answers', () => layout.replies(file.now).length === 2);
  assert.equal(
    file.plain(),
    '* USER\nOne?\n* USER\nTwo?\n** ASSISTANT\nSecond.\n* USER\nThree?\n** ASSISTANT\nThird.\n* USER\n',
  );
});

test('a chat from a file goes on, and is held by one editor at a time', async (t) => {
  const world = await World.start(t);
  world.model.push(insert('First.'));
  world.model.push(insert('Second.'));
  const one = await world.chat();
  await world.ask(one.chat, one.document, 'One?');
  await world.over(one.chat);
  const other = world.another(t);
  const file = new StringDocument(one.document.now);
  const { chat } = await other.chat(file);
  await other.until('the conflict', () => other.messages.length > 0);
  assert.match(other.messages.join(), /another/);
  await world.chats.stop();
  await other.ask(chat, file, 'Two?');
  await other.over(chat);
  assert.equal(file.plain(), '* USER\nOne?\n** ASSISTANT\nFirst.\n* USER\nTwo?\n** ASSISTANT\nSecond.\n* USER\n');
  assert.deepEqual(world.model.said(1), ['One?', insert('First.'), 'Two?']);
});

test('errors say what to do, and keep the text', async (t) => {
  const world = await World.start(t);
  const { chat, document } = await world.chat();
  await assert.rejects(chat.send(), /write something/);
  await assert.rejects(chat.retry(), /nothing was said/);
  document.now += 'Hello';
  world.options = () => ({ program: '/no/such/program', env: {}, restarts: 0 });
  await assert.rejects(chat.send(), /cannot be started/);
  assert.equal(layout.draft(document.now), 'Hello');
});
