/**
 * The messages of the server's own methods that this client uses, as docs/protocol.md has them. Fields that it does not
 * look at are left out: both sides ignore what they do not know.
 */

import { NotificationType, RequestType } from 'vscode-jsonrpc/node';

export const VERSION = 1;

/** What an error of the server carries. */
export interface ErrorData {
  code: string;
  hint: string;
}

export interface Announcement {
  version: number;
  /** Without `shell` the server runs the commands that the user approves, in its sandbox. */
  actuators: string[];
  streaming: boolean;
}

export interface InitializeParams {
  processId: number | null;
  clientInfo: { name: string; version: string };
  capabilities: { experimental: { orgAgent: Announcement } };
}

export interface InitializeResult {
  capabilities: { experimental?: { orgAgent?: { version: number; methods: string[]; sensors: string[] } } };
  serverInfo?: { name: string; version?: string };
}

export interface Context {
  kind: 'region' | 'buffer' | 'file' | 'note';
  name: string;
  text: string;
  mode?: string;
}

export interface EventParams {
  sensor: 'chat-message';
  clientId: string;
  sessionId?: string;
  buffer?: string;
  text: string;
  level?: number;
  context?: Context[];
  directory?: string;
}

export interface EventResult {
  eventId: string;
  sessionId: string;
  turnId: string;
  lamport: number;
  duplicate: boolean;
}

export type State =
  | 'accepted'
  | 'thinking'
  | 'streaming'
  | 'repairing'
  | 'awaitingApproval'
  | 'acting'
  | 'done'
  | 'failed'
  | 'cancelled';

export interface TurnParams {
  turnId: string;
  sessionId: string;
  seq: number;
  state: State;
  reason?: string;
}

export interface DeltaParams {
  turnId: string;
  attempt: number;
  seq: number;
  text: string;
}

export interface RetractParams {
  turnId: string;
  attempt: number;
  seq: number;
  reason: string;
}

export interface Action {
  type: string;
  target?: string;
  explanation?: string;
  payload: { action?: string; text?: string; cmd?: string; cwd?: string; timeout?: number };
}

export interface ActuateParams {
  actuationId: string;
  turnId: string;
  sessionId: string;
  attempt: number;
  seq: number;
  action: Action;
  sexp: string;
  decision: 'allow' | 'ask';
  rule: string;
  always?: string;
  sandbox?: string;
  directory?: string;
}

export interface ActuateResult {
  accepted: boolean;
  message?: string;
}

export type Choice = 'run' | 'deny' | 'always';

export interface DecideParams {
  actuationId: string;
  choice: Choice;
  command?: string;
  message?: string;
}

export interface DecideResult {
  decision: 'allow' | 'ask' | 'deny';
  token: string | null;
  rule: string;
  saved?: boolean;
  hint?: string;
}

export interface ActuatedParams {
  actuationId: string;
  status: 'done' | 'denied' | 'failed';
  message?: string;
}

export interface ResumeParams {
  sessionId: string;
  applied: string[];
  turns: string[];
}

export interface ResumeResult {
  sessionId: string;
  actuations: ActuateParams[];
  missing: string[];
  interrupted: { turnId: string; eventId: string }[];
  resumed: { from: string; turnId: string }[];
  live: string[];
  /** What the turns answer, by what stands for it in the document. */
  events?: { turnId: string; mark: string }[];
}

export interface SessionItem {
  id: string;
  title: string;
  status: string;
  messages: number;
}

export interface Page<Item> {
  items: Item[];
  nextCursor: string | null;
}

export interface SkillItem {
  name: string;
  description: string;
}

type Empty = Record<string, never>;

/** Every request has the same kind of error. */
function request<Params, Result>(method: string): RequestType<Params, Result, ErrorData> {
  return new RequestType<Params, Result, ErrorData>(method);
}

export const methods = {
  initialize: request<InitializeParams, InitializeResult>('initialize'),
  event: request<EventParams, EventResult>('orgAgent/event'),
  cancel: request<{ turnId: string }, { cancelled: boolean }>('orgAgent/cancel'),
  decide: request<DecideParams, DecideResult>('orgAgent/decide'),
  actuated: request<ActuatedParams, Empty>('orgAgent/actuated'),
  why: request<{ turnId?: string; actuationId?: string; format: 'org' }, { org?: string }>('orgAgent/why'),
  list: request<{ recent: boolean; archived: boolean; limit: number }, Page<SessionItem>>('orgAgent/sessions/list'),
  create: request<Empty, { id: string }>('orgAgent/sessions/create'),
  resume: request<ResumeParams, ResumeResult>('orgAgent/sessions/resume'),
  regenerate: request<{ sessionId: string }, { mark: string; turnId: string }>('orgAgent/sessions/regenerate'),
  export: request<{ sessionId: string }, { org: string }>('orgAgent/sessions/export'),
  skills: request<{ limit: number; directory?: string }, Page<SkillItem>>('orgAgent/skills/list'),
};

export const notifications = {
  initialized: new NotificationType<Empty>('initialized'),
  turn: new NotificationType<TurnParams>('orgAgent/turn'),
  delta: new NotificationType<DeltaParams>('orgAgent/delta'),
  retract: new NotificationType<RetractParams>('orgAgent/retract'),
};

/** What the server asks of a client. */
export const questions = {
  actuate: request<ActuateParams, ActuateResult>('orgAgent/actuate'),
  abort: request<{ actuationId: string }, Empty>('orgAgent/abort'),
};
