// A user of the Agent Client Protocol's client library for JavaScript, led by the test over lines of JSON: what it reads
// and says is what user.py does. ACP_SDK is the library's file.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { Readable, Writable } from "node:stream";

const acp = await import(process.env.ACP_SDK);
const { agent: ask, client: asked } = acp.methods;

const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);

const [program, ...words] = process.argv.slice(2);
const server = spawn(program, words, { stdio: ["pipe", "pipe", "inherit"] });

const answers = new Map();
const unsaved = new Map();
const terminals = new Map();

function create({ command, args, env, cwd }) {
  say({ terminal: [command, ...(args ?? [])], cwd });
  const variables = { ...process.env, ...Object.fromEntries((env ?? []).map(({ name, value }) => [name, value])) };
  const [file, ...rest] = args?.length ? [command, ...args] : ["sh", "-c", command];
  const child = spawn(file, rest, { cwd: cwd ?? undefined, env: variables, stdio: ["ignore", "pipe", "pipe"] });
  const terminal = { child, output: [], status: undefined };
  child.stdout.on("data", (bytes) => terminal.output.push(bytes));
  child.stderr.on("data", (bytes) => terminal.output.push(bytes));
  terminal.ended = new Promise((resolve) => {
    child.on("close", (exitCode, signal) => resolve((terminal.status = { exitCode, signal })));
  });
  const terminalId = `terminal-${terminals.size + 1}`;
  terminals.set(terminalId, terminal);
  return { terminalId };
}

const user = acp
  .client({ name: "acp-clients" })
  .onNotification(asked.session.update, ({ params }) => say({ update: params.update, session: params.sessionId }))
  .onRequest(asked.session.requestPermission, async ({ params }) => {
    const number = answers.size + 1;
    const answer = new Promise((resolve) => answers.set(number, resolve));
    say({ question: number, session: params.sessionId, call: params.toolCall, options: params.options });
    const optionId = await answer;
    return { outcome: optionId ? { outcome: "selected", optionId } : { outcome: "cancelled" } };
  })
  .onRequest(asked.fs.readTextFile, ({ params }) => {
    if (!unsaved.has(params.path)) throw acp.RequestError.invalidParams({ path: params.path });
    say({ read: params.path });
    return { content: unsaved.get(params.path) };
  })
  .onRequest(asked.terminal.create, ({ params }) => create(params))
  .onRequest(asked.terminal.output, ({ params }) => {
    const { output, status } = terminals.get(params.terminalId);
    return { output: Buffer.concat(output).toString(), truncated: false, ...(status ? { exitStatus: status } : {}) };
  })
  .onRequest(asked.terminal.waitForExit, ({ params }) => terminals.get(params.terminalId).ended)
  .onRequest(asked.terminal.kill, ({ params }) => {
    terminals.get(params.terminalId).child.kill("SIGKILL");
    return {};
  })
  .onRequest(asked.terminal.release, ({ params }) => {
    say({ released: params.terminalId });
    return {};
  });

const connection = user.connect(acp.ndJsonStream(Writable.toWeb(server.stdin), Readable.toWeb(server.stdout)));
const { agent } = connection;

const doing = {
  new: ({ cwd }) => agent.request(ask.session.new, { cwd, mcpServers: [] }),
  load: ({ cwd, session }) => agent.request(ask.session.load, { cwd, sessionId: session, mcpServers: [] }),
  resume: ({ cwd, session }) => agent.request(ask.session.resume, { cwd, sessionId: session, mcpServers: [] }),
  list: ({ cwd }) => agent.request(ask.session.list, { cwd }),
  delete: ({ session }) => agent.request(ask.session.delete, { sessionId: session }),
  close: ({ session }) => agent.request(ask.session.close, { sessionId: session }),
  prompt: ({ session, text, embedded, linked }) => {
    const prompt = [{ type: "text", text }];
    for (const [uri, content] of Object.entries(embedded ?? {}))
      prompt.push({ type: "resource", resource: { uri, text: content } });
    for (const [name, uri] of Object.entries(linked ?? {})) prompt.push({ type: "resource_link", name, uri });
    return agent.request(ask.session.prompt, { sessionId: session, prompt });
  },
  cancel: ({ session }) => agent.notify(ask.session.cancel, { sessionId: session }),
  mode: ({ session, mode }) => agent.request(ask.session.setMode, { sessionId: session, modeId: mode }),
  option: ({ session, option, value }) =>
    agent.request(ask.session.setConfigOption, { sessionId: session, configId: option, value }),
  extension: ({ method, params }) => agent.request(`_${method}`, params),
  answer: ({ question, option }) => answers.get(question)(option),
  unsaved: ({ path, text }) => void unsaved.set(path, text),
};

const terminal = process.env.ACP_TERMINAL === "1";
say({
  ready: await agent.request(ask.initialize, {
    protocolVersion: acp.PROTOCOL_VERSION,
    clientCapabilities: { fs: { readTextFile: true, writeTextFile: false }, terminal },
    clientInfo: { name: "acp-clients", title: "Nutzerin 🌻", version: "1" },
  }),
});

createInterface({ input: process.stdin })
  .on("line", async (line) => {
    const { id, do: what, ...words } = JSON.parse(line);
    try {
      say({ id, result: (await doing[what](words)) ?? {} });
    } catch (error) {
      say({ id, error: { code: error.code, message: error.message, data: error.data } });
    }
  })
  .on("close", () => server.stdin.end());
server.on("close", () => process.exit());
