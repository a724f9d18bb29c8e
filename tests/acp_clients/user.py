"""A user of the Agent Client Protocol's client library for Python, led by the test over lines of JSON.

    python user.py PROGRAM ARGUMENT...

starts the agent, says {"ready": ...} with what it answered, and does what each line of the input says. What the library
hands on comes as {"update": ...} and {"question": ...}, the result of a line as {"id": ..., "result": ...} or
{"id": ..., "error": ...}. The end of the input is the end of it all. ACP_TERMINAL=1 offers a terminal.
"""

import asyncio
import json
import os
import sys
from asyncio import subprocess

import acp
from acp import schema


def say(**message):
    print(json.dumps(message, ensure_ascii=False), flush=True)


def plain(model):
    """A value of the library as it is on the wire, as far as the library has kept it."""
    return model.model_dump(mode="json", by_alias=True, exclude_none=True) if model is not None else {}


class Lack(Exception):
    """The library has no way to do this."""


class User:
    def __init__(self):
        self.agent = None
        self.answers = {}
        self.unsaved = {}
        self.terminals = {}

    def on_connect(self, agent):
        self.agent = agent

    async def session_update(self, session_id, update, **_):
        say(update=plain(update), session=session_id)

    async def request_permission(self, session_id, tool_call, options, **_):
        number = len(self.answers) + 1
        answer = self.answers[number] = asyncio.get_running_loop().create_future()
        say(question=number, session=session_id, call=plain(tool_call), options=[plain(option) for option in options])
        option = await answer
        outcome = {"outcome": "selected", "optionId": option} if option else {"outcome": "cancelled"}
        return schema.RequestPermissionResponse.model_validate({"outcome": outcome})

    async def read_text_file(self, session_id, path, line=None, limit=None, **_):
        text = self.unsaved.get(path)
        if text is None:
            raise acp.RequestError.invalid_params({"path": path})
        say(read=path)
        return schema.ReadTextFileResponse(content=text)

    async def create_terminal(self, session_id, command, args=None, env=None, cwd=None, output_byte_limit=None, **_):
        say(terminal=[command, *(args or [])], cwd=cwd)
        variables = {**os.environ, **{one.name: one.value for one in env or []}}
        command = [command, *args] if args else ["sh", "-c", command]
        process = await asyncio.create_subprocess_exec(
            *command, cwd=cwd, env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        name = f"terminal-{len(self.terminals) + 1}"
        self.terminals[name] = (process, asyncio.create_task(process.stdout.read()))
        return schema.CreateTerminalResponse(terminal_id=name)

    async def terminal_output(self, session_id, terminal_id, **_):
        process, output = self.terminals[terminal_id]
        if not output.done():
            return schema.TerminalOutputResponse(output="", truncated=False)
        await process.wait()
        status = schema.TerminalExitStatus(exit_code=process.returncode)
        return schema.TerminalOutputResponse(output=output.result().decode(), truncated=False, exit_status=status)

    async def wait_for_terminal_exit(self, session_id, terminal_id, **_):
        process, output = self.terminals[terminal_id]
        await output
        return schema.WaitForTerminalExitResponse(exit_code=await process.wait())

    async def kill_terminal(self, session_id, terminal_id, **_):
        self.terminals[terminal_id][0].kill()
        return schema.KillTerminalResponse()

    async def release_terminal(self, session_id, terminal_id, **_):
        say(released=terminal_id)
        return schema.ReleaseTerminalResponse()

    async def do(self, what, session=None, cwd=None, **more):
        agent = self.agent
        if what == "new":
            return await agent.new_session(cwd=cwd)
        if what == "load":
            return await agent.load_session(cwd=cwd, session_id=session)
        if what == "resume":
            return await agent.resume_session(cwd=cwd, session_id=session)
        if what == "list":
            return await agent.list_sessions(cwd=cwd)
        if what == "close":
            return await agent.close_session(session_id=session)
        if what == "prompt":
            blocks = [acp.text_block(more["text"])]
            for name, text in more.get("embedded", {}).items():
                blocks.append(acp.resource_block(acp.embedded_text_resource(name, text)))
            for name, uri in more.get("linked", {}).items():
                blocks.append(acp.resource_link_block(name, uri))
            return await agent.prompt(session_id=session, prompt=blocks)
        if what == "cancel":
            return await agent.cancel(session_id=session)
        if what == "mode":
            return await agent.set_session_mode(session_id=session, mode_id=more["mode"])
        if what == "option":
            return await agent.set_config_option(session_id=session, config_id=more["option"], value=more["value"])
        if what == "extension":
            return await agent.ext_method(more["method"], more["params"])
        if what == "answer":
            return self.answers[more["question"]].set_result(more["option"])
        if what == "unsaved":
            self.unsaved[more["path"]] = more["text"]
            return None
        raise Lack(f"this client has no way to {what}")

    async def line(self, number, **words):
        try:
            result = await self.do(words.pop("do"), **words)
            say(id=number, result=result if isinstance(result, dict) else plain(result))
        except Lack as lack:
            say(id=number, lack=str(lack))
        except acp.RequestError as error:
            say(id=number, error={"code": error.code, "message": str(error), "data": error.data})


async def main(program, *arguments):
    user = User()
    # Only what it is given: the library hands on little of the environment by itself.
    async with acp.spawn_agent_process(
        user, program, *arguments, env=dict(os.environ), transport_kwargs={"stderr": None}
    ) as (agent, _):
        terminal = os.environ.get("ACP_TERMINAL") == "1"
        files = schema.FileSystemCapabilities(read_text_file=True, write_text_file=False)
        ready = await agent.initialize(
            protocol_version=acp.PROTOCOL_VERSION,
            client_capabilities=schema.ClientCapabilities(fs=files, terminal=terminal),
            client_info=schema.Implementation(name="acp-clients", title="Nutzerin 🌻", version="1"))
        say(ready=plain(ready))
        lines = asyncio.StreamReader(limit=1 << 26)
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
        # Held: a task that nobody holds can be forgotten.
        held = []
        while line := await lines.readline():
            words = json.loads(line)
            held.append(asyncio.create_task(user.line(words.pop("id"), **words)))
        for task in held:
            task.cancel()


asyncio.run(main(*sys.argv[1:]))
