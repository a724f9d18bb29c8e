/**
 * One server, and what it says of turns: started, introduced, typed. It knows order and identity (`seq`, `attempt`,
 * what was applied), and nothing of documents, windows or VS Code.
 *
 * - A message of a turn that was seen already is dropped, and so is what belongs to an earlier attempt.
 * - `orgAgent/actuate` is answered at once; what it asks for is done after it, one thing after another.
 * - An insert can be delivered again; the listener puts it in once. It is reported as done when it stands there.
 */

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  createMessageConnection,
  ResponseError,
  StreamMessageReader,
  StreamMessageWriter,
  type MessageConnection,
  type RequestType,
} from 'vscode-jsonrpc/node';
import * as protocol from './protocol';
import { methods, notifications, questions } from './protocol';

/** Previews longer than this lose their beginning: more than a window shows. */
const PREVIEW = 16_384;

/** How long the server may take to introduce itself, in milliseconds. */
const PATIENCE = 30_000;

export interface Turn {
  readonly id: string;
  readonly session: string;
  /** The message that it answers, if that is known. */
  event?: string;
  seq: number;
  state?: protocol.State;
  reason?: string;
  attempt: number;
  /** What its attempt said so far, unverified. */
  preview: string;
  /** Whether text of it was put in. */
  replied: boolean;
  question?: Question;
}

/** A command that waits for the user. */
export interface Question {
  readonly id: string;
  command: string;
  /** Whether the user changed it since the server sent it. */
  edited: boolean;
  rule: string;
  always?: string;
  readonly explanation?: string;
  readonly sandbox?: string;
  readonly directory?: string;
}

/** What the client tells, in the order in which it came. */
export interface Listener {
  /** A turn has another state, preview or question. */
  changed(turn: Turn): void;
  /** Puts in a reply, once. Whether it stands there; 'later' if there is no document yet, which will resume its session. */
  insert(turn: Turn, actuation: string, text: string): Promise<boolean | 'later'>;
  /** The server is gone, and why; not if it was stopped. */
  closed(why: string): void;
}

/** An error of the server in the words that it has for people. */
export class ServerError extends Error {
  constructor(
    message: string,
    readonly code: string | undefined,
    readonly hint: string,
  ) {
    super(hint === '' ? message : `${message}. ${hint}`);
  }
}

export function isOver(turn: Turn): boolean {
  return turn.state === 'done' || turn.state === 'failed' || turn.state === 'cancelled';
}

export interface StartOptions {
  program: string;
  args?: string[];
  env?: NodeJS.ProcessEnv;
}

export class Client {
  readonly turns = new Map<string, Turn>();
  private work: Promise<void> = Promise.resolve();
  private gone = false;
  /** What is asked about sessions that this client comes back to. */
  private readonly resuming = new Map<string, Promise<unknown>>();

  private constructor(
    private readonly process: ChildProcess,
    private readonly connection: MessageConnection,
    private readonly listener: Listener,
  ) {}

  /** Starts a server and introduces this client to it. */
  static async start(options: StartOptions, listener: Listener): Promise<Client> {
    const process = spawn(options.program, options.args ?? ['serve'], {
      env: options.env,
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    // It is told by an error if there is no such program.
    await once(process, 'spawn').catch((error: unknown) => {
      throw new ServerError(`${options.program} cannot be started: ${String(error)}`, undefined, 'Install org-agent, or name its program');
    });
    process.on('error', () => undefined);
    // Writing to a server that ended is told by its end.
    process.stdin.on('error', () => undefined);
    const connection = createMessageConnection(
      new StreamMessageReader(process.stdout),
      new StreamMessageWriter(process.stdin),
    );
    const client = new Client(process, connection, listener);
    connection.onNotification(notifications.turn, (params) => client.onTurn(params));
    connection.onNotification(notifications.delta, (params) => client.onDelta(params));
    connection.onNotification(notifications.retract, (params) => client.onRetract(params));
    connection.onRequest(questions.actuate, (params) => client.onActuate(params));
    // This client runs no command that could be stopped.
    connection.onRequest(questions.abort, () => ({}));
    connection.onError(() => undefined);
    connection.listen();
    let timer: NodeJS.Timeout | undefined;
    const failed = new Promise<never>((_, reject) => {
      process.once('exit', (code, signal) => reject(new ServerError(`the server ended (${signal ?? code})`, undefined, '')));
      timer = setTimeout(() => reject(new ServerError('the server does not answer', undefined, '')), PATIENCE);
    });
    try {
      await Promise.race([client.introduce(), failed]);
    } catch (error) {
      await client.stop();
      throw error;
    } finally {
      clearTimeout(timer);
      failed.catch(() => undefined);
    }
    process.once('exit', (code, signal) => client.onExit(String(signal ?? code)));
    if (process.exitCode !== null || process.signalCode !== null) client.onExit(String(process.signalCode ?? process.exitCode));
    return client;
  }

  private async introduce(): Promise<void> {
    const result = await this.request(methods.initialize, {
      processId: process.pid,
      clientInfo: { name: 'org-agent-vscode', version: '0.1.0' },
      capabilities: {
        experimental: { orgAgent: { version: protocol.VERSION, actuators: ['insertAtEnd'], streaming: true } },
      },
    });
    const offer = result.capabilities.experimental?.orgAgent;
    const lacks = Object.values(methods)
      .map((type) => type.method)
      .filter((method) => method.startsWith('orgAgent/') && !offer?.methods.includes(method));
    if (offer?.version !== protocol.VERSION) throw new ServerError(`the server does not speak version ${protocol.VERSION}`, undefined, '');
    if (lacks.length > 0) throw new ServerError(`the server is too old: it lacks ${lacks.join(', ')}`, undefined, '');
    await this.connection.sendNotification(notifications.initialized, {});
  }

  /** Ends the server and waits until it did; the listener is not told. */
  async stop(): Promise<void> {
    if (!this.gone) this.connection.dispose();
    this.gone = true;
    const { process } = this;
    if (process.pid === undefined || process.exitCode !== null || process.signalCode !== null) return;
    const ended = new Promise((resolve) => process.once('exit', resolve));
    process.kill();
    await ended;
  }

  get pid(): number | undefined {
    return this.process.pid;
  }

  /** Sends a request; an error of the server is a `ServerError`. */
  async request<Params, Result>(type: RequestType<Params, Result, protocol.ErrorData>, params: Params): Promise<Result> {
    if (this.gone) throw new ServerError('the server is gone', undefined, '');
    try {
      return await this.connection.sendRequest(type, params);
    } catch (error) {
      if (error instanceof ResponseError) {
        const data = error.data as Partial<protocol.ErrorData> | undefined;
        throw new ServerError(error.message, data?.code, data?.hint ?? '');
      }
      throw new ServerError(this.gone ? 'the server is gone' : String(error), undefined, '');
    }
  }

  /** The turn `id`, made if it is not known. */
  turn(id: string, session: string): Turn {
    let turn = this.turns.get(id);
    if (turn === undefined) {
      turn = { id, session, seq: 0, attempt: 0, preview: '', replied: false };
      this.turns.set(id, turn);
    }
    return turn;
  }

  /** Sends a message. The turn that answers it is known before anything of it comes. */
  async send(params: protocol.EventParams): Promise<{ result: protocol.EventResult; turn: Turn }> {
    const result = await this.request(methods.event, params);
    const turn = this.turn(result.turnId, result.sessionId);
    turn.event = result.eventId;
    turn.state ??= 'accepted';
    return { result, turn };
  }

  /** Says which replies a document has, and does what it lacks. `turns` are those to run again. */
  async resume(session: string, applied: string[], turns: string[]): Promise<protocol.ResumeResult> {
    const asked = this.request(methods.resume, { sessionId: session, applied, turns });
    this.resuming.set(session, asked.catch(() => undefined));
    const result = await asked;
    for (const { turnId, mark } of result.events ?? []) {
      const turn = this.turn(turnId, session);
      turn.event = mark;
      this.listener.changed(turn);
    }
    for (const { from, turnId } of result.resumed) this.turn(turnId, session).event ??= this.turns.get(from)?.event;
    for (const { turnId, eventId } of result.interrupted) {
      const turn = this.turn(turnId, session);
      Object.assign(turn, { event: turn.event ?? eventId, state: 'failed', reason: 'interrupted' });
      this.listener.changed(turn);
    }
    for (const id of result.live) this.turn(id, session).state ??= 'accepted';
    for (const actuation of result.actuations) this.onActuate(actuation);
    return result;
  }

  /** Tells what the user decided. Edited, a command may have to be asked about again: then it waits on. */
  async decide(turn: Turn, choice: protocol.Choice, command?: string): Promise<protocol.DecideResult> {
    const question = turn.question;
    if (question === undefined) throw new ServerError('this command does not wait any more', undefined, '');
    // What was edited before is not what the server was sent.
    const edited = command ?? (question.edited && choice !== 'deny' ? question.command : undefined);
    const result = await this.request(methods.decide, { actuationId: question.id, choice, command: edited });
    if (turn.question !== question) return result;
    if (result.decision === 'ask') {
      Object.assign(question, { command: edited ?? question.command, edited: true, rule: result.rule, always: undefined });
    } else {
      turn.question = undefined;
    }
    this.listener.changed(turn);
    return result;
  }

  private isNew(turn: Turn, seq: number): boolean {
    if (seq <= turn.seq) return false;
    turn.seq = seq;
    return true;
  }

  private onTurn(params: protocol.TurnParams): void {
    const turn = this.turn(params.turnId, params.sessionId);
    if (isOver(turn) || !this.isNew(turn, params.seq)) return;
    turn.state = params.state;
    turn.reason = params.reason;
    if (isOver(turn)) {
      turn.preview = '';
      turn.question = undefined;
    }
    this.listener.changed(turn);
  }

  private onDelta(params: protocol.DeltaParams): void {
    const turn = this.turns.get(params.turnId);
    if (turn === undefined || isOver(turn) || params.attempt < turn.attempt || !this.isNew(turn, params.seq)) return;
    if (params.attempt > turn.attempt) {
      turn.attempt = params.attempt;
      turn.preview = '';
    }
    turn.preview += params.text;
    if (turn.preview.length > PREVIEW) turn.preview = turn.preview.slice(-PREVIEW / 2);
    this.listener.changed(turn);
  }

  private onRetract(params: protocol.RetractParams): void {
    const turn = this.turns.get(params.turnId);
    if (turn === undefined || params.attempt < turn.attempt || !this.isNew(turn, params.seq)) return;
    turn.preview = '';
    this.listener.changed(turn);
  }

  private onActuate(params: protocol.ActuateParams): protocol.ActuateResult {
    const turn = this.turn(params.turnId, params.sessionId);
    // One that comes late is done all the same: by its identifier it is done once.
    turn.seq = Math.max(turn.seq, params.seq);
    const { target, payload } = params.action;
    if (!/^[\w.:-]{1,256}$/.test(params.actuationId)) return { accepted: false, message: 'this is no identifier' };
    if (target === 'shell' && payload.cmd !== undefined) {
      if (params.decision === 'ask') this.ask(turn, params, payload.cmd);
      // What is allowed the server runs by itself.
    } else if (payload.action === 'insert-at-end' && payload.text !== undefined) {
      const text = payload.text;
      this.work = this.work.then(() => this.insert(turn, params.actuationId, text));
    } else {
      return { accepted: false, message: 'this client can only insert text' };
    }
    return { accepted: true };
  }

  private ask(turn: Turn, params: protocol.ActuateParams, command: string): void {
    const { actuationId: id, rule, always, sandbox, directory } = params;
    turn.question = { id, command, edited: false, rule, always, sandbox, directory, explanation: params.action.explanation };
    this.listener.changed(turn);
  }

  private async insert(turn: Turn, id: string, text: string): Promise<void> {
    // What an earlier client asked for is answered where the server says.
    if (turn.event === undefined) await this.resuming.get(turn.session);
    // A listener that fails has not put it in.
    const there = await this.listener.insert(turn, id, text).catch(() => false);
    if (there === 'later') return;
    turn.preview = '';
    turn.replied ||= there;
    this.listener.changed(turn);
    const outcome: protocol.ActuatedParams = there
      ? { actuationId: id, status: 'done' }
      : { actuationId: id, status: 'failed', message: 'the text could not be put into the document' };
    // Without a server nobody waits for it, and the next one asks what is there.
    await this.request(methods.actuated, outcome).catch(() => undefined);
  }

  private onExit(why: string): void {
    if (this.gone) return;
    this.gone = true;
    this.connection.dispose();
    for (const turn of this.turns.values()) {
      if (isOver(turn)) continue;
      Object.assign(turn, { preview: '', question: undefined, state: undefined, seq: 0, attempt: 0 });
      this.listener.changed(turn);
    }
    this.listener.closed(`the server ended (${why})`);
  }
}
