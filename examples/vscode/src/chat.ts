/**
 * Chats: a document and a session each, over one server that is started when it is needed, and again when it died.
 * Everything that the user can do is a method here; what a document and a window are is the business of `Host`.
 */

import { randomUUID } from 'node:crypto';
import { Client, isOver, ServerError, type Listener, type StartOptions, type Turn } from './client';
import * as layout from './layout';
import { methods, type Context, type SessionItem, type SkillItem } from './protocol';

/** A text that may change at any time. */
export interface Document {
  text(): string;
  /** Carries out all edits or none, as one step of undo; false if the text changed since, or cannot be changed. */
  apply(edits: layout.Edit[]): Promise<boolean>;
}

export interface Host {
  options(): StartOptions & { restarts: number };
  /** Something of a turn has to be shown anew, or of all of them. */
  changed(chat: Chat, turn?: Turn): void;
  tell(message: string): void;
  complain(message: string): void;
}

/** How often an edit is computed anew because the text changed before it was applied. */
const ATTEMPTS = 5;

/** What is said to people when something went wrong. */
export function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export class Chats implements Listener {
  readonly all = new Set<Chat>();
  private client?: Promise<Client>;
  private deaths = 0;
  private timer?: NodeJS.Timeout;

  constructor(readonly host: Host) {}

  /** Makes a chat of `document`, and brings it up to date if it has a session. */
  async open(document: Document, directory?: string): Promise<Chat> {
    const chat = new Chat(this, document, directory);
    chat.session = layout.parse(document.text()).session;
    this.all.add(chat);
    await chat.edit((text) => layout.ensureInput(text));
    if (chat.session !== undefined) {
      const first = this.client === undefined;
      await this.connect();
      // One that is started resumes every chat.
      if (!first) await chat.resume();
    }
    return chat;
  }

  close(chat: Chat): void {
    this.all.delete(chat);
  }

  of(session: string): Chat | undefined {
    return [...this.all].find((chat) => chat.session === session);
  }

  /** The server, started if there is none. */
  async connect(): Promise<Client> {
    if (this.client === undefined) {
      const starting = Client.start(this.host.options(), this);
      this.client = starting.then(async (client) => {
        for (const chat of this.all) {
          chat.client = client;
          await chat.resume().catch((error: unknown) => this.host.complain(words(error)));
        }
        return client;
      });
      this.client.catch(() => (this.client = undefined));
    }
    return this.client;
  }

  async sessions(): Promise<SessionItem[]> {
    const client = await this.connect();
    return (await client.request(methods.list, { recent: true, archived: false, limit: 100 })).items;
  }

  /** A session as text, as its document would have it. */
  async transcript(session: string): Promise<string> {
    const client = await this.connect();
    const { org } = await client.request(methods.export, { sessionId: session });
    return layout.parse(org).session === undefined ? `:PROPERTIES:\n:OA_SESSION: ${session}\n:END:\n${org}` : org;
  }

  async skills(directory?: string): Promise<SkillItem[]> {
    const client = await this.connect();
    return (await client.request(methods.skills, { limit: 500, directory })).items;
  }

  async stop(): Promise<void> {
    clearTimeout(this.timer);
    const client = this.client;
    this.client = undefined;
    // What did not start needs no end.
    await client?.then((started) => started.stop()).catch(() => undefined);
  }

  changed(turn: Turn): void {
    if (turn.state === 'done') this.deaths = 0;
    const chat = this.of(turn.session);
    if (chat !== undefined) this.host.changed(chat, turn);
  }

  async insert(turn: Turn, actuation: string, text: string): Promise<boolean | 'later'> {
    const chat = this.of(turn.session);
    if (chat === undefined) {
      this.host.tell('an answer came for a chat that is not open; open its session to see it');
      return 'later';
    }
    return chat.insert(turn, actuation, text);
  }

  closed(why: string): void {
    this.client = undefined;
    this.host.complain(why);
    for (const chat of this.all) this.host.changed(chat);
    if ([...this.all].some((chat) => chat.session !== undefined) && this.deaths < this.host.options().restarts) {
      this.deaths += 1;
      this.timer = setTimeout(() => {
        this.connect().catch((error: unknown) => this.host.complain(words(error)));
      }, 500 * this.deaths);
    }
  }
}

interface Pending {
  id: string;
  text: string;
  context: Context[];
}

export class Chat {
  session?: string;
  client?: Client;
  last?: Turn;
  private pending?: Pending;
  private sending = false;
  private interrupted: string[] = [];
  private readonly applied = new Set<string>();

  constructor(
    private readonly chats: Chats,
    readonly document: Document,
    readonly directory?: string,
  ) {}

  /** Changes the document by what `edits` makes of its text as it is then. */
  async edit(edits: (text: string) => layout.Edit[]): Promise<boolean> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const wanted = edits(this.document.text());
      if (wanted.length === 0 || (await this.document.apply(wanted))) return true;
    }
    return false;
  }

  /** The turns of this chat that are not over. */
  live(): Turn[] {
    const turns = [...(this.client?.turns.values() ?? [])];
    return turns.filter((turn) => turn.session === this.session && turn.state !== undefined && !isOver(turn));
  }

  /** The turn whose command waits for the user. */
  waiting(): Turn | undefined {
    return this.live().find((turn) => turn.question !== undefined);
  }

  async insert(turn: Turn, actuation: string, text: string): Promise<boolean> {
    // Also what the user took back since was put in.
    if (this.applied.has(actuation)) return true;
    const there = await this.edit((all) => layout.writeReply(all, turn.event, actuation, text));
    if (there) this.applied.add(actuation);
    return there;
  }

  /** Sends what stands in the input area. */
  async send(context: Context[] = []): Promise<void> {
    if (this.sending) throw new Error('your last message is still on its way');
    const text = layout.draft(this.document.text());
    if (text === '' && context.length === 0) throw new Error('write something under the last heading first');
    // Sent again, it is the same message: the server answers as it did.
    if (this.pending?.text !== text) this.pending = { id: randomUUID(), text, context };
    await this.sendPending(this.pending);
  }

  private async sendPending(pending: Pending): Promise<void> {
    this.sending = true;
    try {
      const client = await this.connected();
      // A chat that begins is a session of its own, never the newest one of some name.
      this.session ??= (await client.request(methods.create, {})).id;
      const { result, turn } = await client.send({
        sensor: 'chat-message',
        clientId: pending.id,
        sessionId: this.session,
        text: pending.text,
        level: 1,
        directory: this.directory,
        ...(pending.context.length > 0 && { context: pending.context }),
      });
      this.pending = undefined;
      this.last = turn;
      if (!(await this.edit((all) => layout.writePrompt(all, result.sessionId, result.eventId, pending.text)))) {
        throw new Error('the message was sent, and could not be marked as sent in the document');
      }
      this.chats.changed(turn);
    } catch (error) {
      // What the server refused is another message when it is tried again.
      if (error instanceof ServerError && error.code !== undefined) this.pending = undefined;
      throw error;
    } finally {
      this.sending = false;
    }
  }

  /** Asks the server what this document lacks; `turns` run again. */
  async resume(turns: string[] = []): Promise<void> {
    if (this.session === undefined) return;
    const client = (this.client ??= await this.chats.connect());
    const applied = new Set([...layout.replies(this.document.text()), ...this.applied]);
    const result = await client.resume(this.session, [...applied], turns);
    const again = result.resumed.at(-1);
    if (again !== undefined) this.last = client.turn(again.turnId, this.session);
    this.interrupted = result.interrupted.map((turn) => turn.turnId);
    if (result.missing.length > 0) this.chats.host.tell('another editor has replies of this chat that are not here');
    if (this.interrupted.length > 0) this.chats.host.tell('a turn was interrupted; "Ask Again" goes on with it');
  }

  async cancel(): Promise<void> {
    const live = this.live();
    const turn = live.find((each) => each.state !== 'accepted') ?? live[0];
    if (turn === undefined) throw new Error('nothing is under way here');
    const client = await this.connected();
    const { cancelled } = await client.request(methods.cancel, { turnId: turn.id });
    if (!cancelled) throw new Error('it was too late to cancel it');
  }

  /** Asks again: what was not acknowledged, else what was cut off, else the last message. */
  async retry(): Promise<void> {
    if (this.sending) throw new Error('your last message is still on its way');
    if (this.pending !== undefined) return this.sendPending(this.pending);
    if (this.session === undefined) throw new Error('nothing was said here yet');
    if (this.interrupted.length > 0) return this.resume(this.interrupted);
    const client = await this.connected();
    const { mark, turnId } = await client.request(methods.regenerate, { sessionId: this.session });
    const turn = client.turn(turnId, this.session);
    turn.event = mark;
    turn.state ??= 'accepted';
    this.last = turn;
    await this.edit((all) => layout.removeReplies(all, mark));
    this.chats.changed(turn);
  }

  /** Everything behind the reply at `offset`, else behind the last turn, as Org text. */
  async why(offset: number): Promise<string> {
    const act = layout.replyAt(this.document.text(), offset);
    const client = await this.connected();
    if (act === undefined && this.last === undefined) throw new Error('there is no reply yet');
    const about = act !== undefined ? { actuationId: act } : { turnId: this.last?.id };
    return (await client.request(methods.why, { ...about, format: 'org' })).org ?? '';
  }

  private async connected(): Promise<Client> {
    return (this.client = await this.chats.connect());
  }
}
