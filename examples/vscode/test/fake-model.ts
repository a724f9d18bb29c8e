/** A model server for tests: real HTTP on a port of this machine, scripted per request, in the shape of OpenAI's stream. */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Text to send, something to wait for, or nothing more while the connection stays open. */
export type Step = string | Promise<unknown> | 'stall';

export interface Request {
  messages: { role: string; content: string }[];
}

export class FakeModel {
  readonly requests: Request[] = [];
  private readonly replies: Step[][] = [];

  private constructor(private readonly server: Server) {}

  static async start(): Promise<FakeModel> {
    const server = createServer();
    const model = new FakeModel(server);
    server.on('request', (request, response) => void model.serve(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return model;
  }

  get baseUrl(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/v1`;
  }

  /** Answers the next request that has no reply yet. */
  push(...steps: Step[]): void {
    this.replies.push(steps);
  }

  /** What the user and the assistant said in request `number`: without the system's message. */
  said(number: number): string[] {
    return (this.requests[number]?.messages ?? []).slice(1).map((message) => message.content);
  }

  /** Ends it; how many replies nobody asked for. */
  stop(): number {
    this.server.closeAllConnections();
    this.server.close();
    return this.replies.length;
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = '';
    for await (const piece of request) body += String(piece);
    this.requests.push(JSON.parse(body) as Request);
    const steps = this.replies.shift();
    if (steps === undefined) {
      response.writeHead(500).end('no reply was scripted');
      return;
    }
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    const event = (data: unknown) => response.write(`data: ${JSON.stringify(data)}\n\n`);
    for (const step of steps) {
      if (step === 'stall') return;
      if (typeof step !== 'string') await step;
      else event({ object: 'chat.completion.chunk', choices: [{ index: 0, delta: { content: step }, finish_reason: null }] });
    }
    event({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] });
    response.end('data: [DONE]\n\n');
  }
}

/** Something to wait for, and what ends the waiting. */
export function gate(): { opened: Promise<void>; open: () => void } {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}

/** The beginning of an insert. */
export function beginning(text: string): string {
  return `(:type :request :target :emacs :payload (:action :insert-at-end :buffer "*org-agent-chat*" :text "${text}`;
}

export function insert(text: string): string {
  return `${beginning(text)}"))`;
}

export function shell(command: string): string {
  return `(:type :request :target :shell :payload (:cmd "${command}"))`;
}
