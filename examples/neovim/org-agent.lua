-- org-agent.lua: a whole chat client for Neovim in one file (0.11; works on 0.7.2, too)
--
-- SPDX-License-Identifier: MIT OR Apache-2.0
--
-- It speaks the `orgAgent/*` methods of docs/protocol.md, over Neovim's own JSON-RPC. To use it:
--
--     cp org-agent.lua ~/.config/nvim/lua/          -- and in init.lua:
--     require('org-agent').setup()
--
-- Loading it does nothing; `setup` makes the commands. README.md beside this file lists them.
--
-- How it is built, in the order of the file:
--
--   options, state   one server, chats by buffer, turns by identifier
--   text             what stands in a chat's buffer; nothing else reads or writes it
--   showing          previews, states and questions: extmarks with virtual lines
--   server           starting, requests, errors, coming back after it died
--   turns            what the server says of a turn, and its replies
--   commands         asking the user about a shell command, and running it if this client is to
--   user             the :OrgAgent commands, and completion
--
-- Rules that it keeps, each for a reason:
--
--   * A preview is not verified. It is shown as virtual lines, so it cannot be saved, yanked or undone.
--   * Text gets into the buffer only by `orgAgent/actuate`, once for each `OA_ACT`, also if the user took it back
--     since. It goes where the prompt's extmark is, as whole lines, in one undo block of its own. What the user
--     types meanwhile stands below it, and is never touched.
--   * What a model wrote is data: it is put into buffers, virtual text and messages, and nowhere else. No string of
--     this file's `vim.cmd` has any of it, it is no pattern, and chats have no modelines.
--   * Nothing blocks, and no question comes up by itself while somebody types: a command waits in the buffer until
--     `:OrgAgentDecide`.
--   * The server runs the commands that were approved, in its sandbox. With `shell = 'client'` this client does, by
--     the token that the server gave: what runs is what the server wrote down for it, whatever stands here.

local M = {}
local api, uv = vim.api, vim.uv or vim.loop

---- Options and state ----

local options = {
  cmd = nil, -- default: $ORG_AGENT_PROGRAM, or `org-agent` on the path; then `serve`
  shell = 'server', -- 'server': it runs approved commands in its sandbox. 'client': this client runs them by token
  timeout = 120, -- seconds that a command may take, if the model named no other time; of 'client'
  preview_lines = 20, -- how much of a preview is shown: its last lines
  restarts = 3, -- how often a server that dies is started again until a turn is done
}

local NEEDED = { 'orgAgent/event', 'orgAgent/cancel', 'orgAgent/decide', 'orgAgent/actuated', 'orgAgent/why',
  'orgAgent/sessions/list', 'orgAgent/sessions/create', 'orgAgent/sessions/resume', 'orgAgent/sessions/export',
  'orgAgent/sessions/regenerate', 'orgAgent/skills/list' }
local OVER = { done = true, failed = true, cancelled = true }
local PREVIEW_BYTES = 16384 -- kept of a preview: more than a window shows
local KEEP = 32768 -- bytes kept of a command's output: so many of its beginning, and of its end
local ITEM_BYTES, ITEMS = 1024 * 1024, 32 -- the server's bounds of context

-- chat: { buf, session, dir, pending, sending, applied = {id = true}, last = turn, interrupted = {} }
-- turn: { id, session, event, mark, seq, state, attempt, preview, notice, replied, question, job }
local state = { rpc = nil, ready = false, waiting = {}, chats = {}, turns = {}, jobs = {}, skills = {}, deaths = 0 }
local ns = api.nvim_create_namespace('org-agent')

local function one_line(text, limit)
  text = tostring(text):gsub('%c+', ' ')
  return #text > limit and text:sub(1, limit) .. '...' or text
end

local function say(text, level)
  vim.notify('org-agent: ' .. text, level or vim.log.levels.INFO)
end

local function complain(text)
  say(text, vim.log.levels.ERROR)
end

--- Whether `id` may stand in a drawer.
local function is_id(id)
  return type(id) == 'string' and #id <= 256 and id:match('^[%w._:-]+$') ~= nil
end

--- The bytes of `text` as valid UTF-8 without null characters: what is not becomes U+FFFD. Second, how many bytes at
--- the end may be the beginning of a character.
local function clean(text)
  local forms = { '^[\1-\127]+', '^[\194-\223][\128-\191]', '^\224[\160-\191][\128-\191]',
    '^[\225-\236\238-\239][\128-\191][\128-\191]', '^\237[\128-\159][\128-\191]', '^\240[\144-\191][\128-\191][\128-\191]',
    '^[\241-\243][\128-\191][\128-\191][\128-\191]', '^\244[\128-\143][\128-\191][\128-\191]' }
  local parts, at, cut = {}, 1, 0
  while at <= #text do
    local stop
    for _, form in ipairs(forms) do
      stop = select(2, text:find(form, at))
      if stop then break end
    end
    if stop then
      table.insert(parts, text:sub(at, stop))
      at = stop + 1
    else
      if #text - at < 3 and text:find('^[\194-\244][\128-\191]*$', at) then cut = #text - at + 1 end
      table.insert(parts, '\239\191\189')
      at = at + 1
    end
  end
  return table.concat(parts), cut
end

---- Text ----

local text = {}

local function drawer(key, id)
  return { ':PROPERTIES:', ':' .. key .. ': ' .. id, ':END:' }
end

--- The lines of `string`, without line breaks at its end.
local function lines_of(string)
  return vim.split((string:gsub('\n+$', '')), '\n', { plain = true })
end

--- Each heading of `buf`: { row, level, title, event, act, body }, rows counted from 0, `body` that of its text. Second,
--- the session in the drawer at the top, and the row of that.
function text.headings(buf)
  local lines, found, session, session_row = api.nvim_buf_get_lines(buf, 0, -1, true), {}, nil, nil
  local function properties(at) -- of a drawer whose first line is number `at`, counted from 1
    local all, stop = {}, at
    if lines[at] ~= ':PROPERTIES:' then return all, at end
    repeat
      stop = stop + 1
      local key, value = (lines[stop] or ''):match('^:([%w_]+): +(%S+)%s*$')
      if key then all[key] = { value, stop - 1 } end
    until not lines[stop] or lines[stop] == ':END:' or not lines[stop]:find('^:')
    return all, stop + 1
  end
  if lines[1] == ':PROPERTIES:' then
    local own = properties(1).OA_SESSION
    if own then session, session_row = own[1], own[2] end
  end
  for number, line in ipairs(lines) do
    local stars, title = line:match('^(%*+) (.-)%s*$')
    if stars then
      local all, body = properties(number + 1)
      table.insert(found, { row = number - 1, level = #stars, title = title, body = body - 1,
        event = all.OA_EVENT and all.OA_EVENT[1], act = all.OA_ACT and all.OA_ACT[1] })
    end
  end
  return found, session, session_row
end

--- Changes `buf` by `change` as one undo block. False and why, if it could not be changed.
function text.edit(buf, change)
  local function close_block()
    api.nvim_buf_call(buf, function() vim.cmd('let &l:undolevels = &l:undolevels') end)
  end
  close_block()
  local ok, why = pcall(change)
  close_block()
  return ok, why
end

--- The input area: the last `* USER` heading without a message, or nil.
function text.input(buf)
  local headings = text.headings(buf)
  for index = #headings, 1, -1 do
    local heading = headings[index]
    if heading.level == 1 and heading.title == 'USER' and not heading.event then return heading end
  end
end

--- The input area, made at the end if there is none.
function text.ensure_input(buf)
  if not text.input(buf) then
    local all = api.nvim_buf_get_lines(buf, 0, -1, true)
    local from = (#all == 1 and all[1] == '') and 0 or -1
    text.edit(buf, function() api.nvim_buf_set_lines(buf, from, -1, true, { '* USER', '' }) end)
  end
  return text.input(buf)
end

--- What is written in the input area, without blank lines around it. Second and third, the row it begins in, and the
--- row of the area's first line.
function text.draft(buf)
  local input = text.ensure_input(buf)
  local lines = api.nvim_buf_get_lines(buf, input.body, -1, true)
  local first = 1
  while lines[first] and not lines[first]:find('%S') do first = first + 1 end
  local all = table.concat(lines, '\n', first)
  return (all:gsub('%s+$', '')), input.body + first - 1, input.body
end

--- Makes the message `said` of `event` out of the input area, and a new area. What was typed on since it was sent is
--- the new input; if it was rewritten, all of it is. The row below the message.
function text.write_prompt(buf, session, event, said)
  local draft, first, body = text.draft(buf)
  local said_lines = vim.split(said, '\n', { plain = true })
  local mark = api.nvim_buf_set_extmark(buf, ns, first, 0, {})
  text.edit(buf, function()
    if said ~= '' and draft:sub(1, #said) == said and not draft:find('^%S', #said + 1) then
      local last = first + #said_lines - 1
      local column = #said_lines[#said_lines]
      -- From behind to the front, so that no row of it moves before its turn.
      local rest = api.nvim_buf_get_lines(buf, last, -1, true)
      rest[1] = rest[1]:sub(column + 1)
      local skip = 1
      while rest[skip] and not rest[skip]:find('%S') do skip = skip + 1 end
      local row, from = #rest + last, 0
      if rest[skip] then
        row, from = last + skip - 1, #rest[skip]:match('^%s*') + (skip == 1 and column or 0)
      else
        row, from = last + #rest - 1, #rest[#rest] + (#rest == 1 and column or 0)
      end
      api.nvim_buf_set_text(buf, last, column, row, from, { '', '* USER', '' })
      api.nvim_buf_set_lines(buf, body, first, true, drawer('OA_EVENT', event))
    else
      local block = vim.list_extend({ '* USER' }, drawer('OA_EVENT', event))
      local row = text.input(buf).row
      api.nvim_buf_set_lines(buf, row, row, true, vim.list_extend(block, said_lines))
    end
    local _, written, row = text.headings(buf)
    if written and row then
      api.nvim_buf_set_lines(buf, row, row + 1, true, { ':OA_SESSION: ' .. session })
    elseif api.nvim_buf_get_lines(buf, 0, 1, true)[1] == ':PROPERTIES:' then
      api.nvim_buf_set_lines(buf, 1, 1, true, { ':OA_SESSION: ' .. session })
    else
      api.nvim_buf_set_lines(buf, 0, 0, true, drawer('OA_SESSION', session))
    end
  end)
  api.nvim_buf_del_extmark(buf, ns, mark)
  return text.end_of(buf, event)
end

--- The row where a reply to `event` goes, by the text alone: before the next message, else before the input area. So
--- it is if the event is not known: after a restart the server names the turns that wait, and not their messages.
function text.end_of(buf, event)
  local seen = false
  for _, heading in ipairs(text.headings(buf)) do
    if seen and heading.level == 1 and heading.title == 'USER' then return heading.row end
    seen = seen or event ~= nil and heading.event == event
  end
  return seen and api.nvim_buf_line_count(buf) or text.ensure_input(buf).row
end

--- Whether the reply `act` stands in `buf`.
function text.has_reply(buf, act)
  for _, heading in ipairs(text.headings(buf)) do
    if heading.act == act then return true end
  end
  return false
end

--- The replies in `buf`, by identifier.
function text.replies(buf)
  local all = {}
  for _, heading in ipairs(text.headings(buf)) do
    if heading.act then table.insert(all, heading.act) end
  end
  return all
end

function text.write_reply(buf, row, act, said)
  local block = vim.list_extend({ '** ASSISTANT' }, drawer('OA_ACT', act))
  return text.edit(buf, function()
    api.nvim_buf_set_lines(buf, row, row, true, vim.list_extend(block, lines_of(said)))
  end)
end

--- Takes away what answered `event`.
function text.remove_replies(buf, event)
  local from, seen
  for _, heading in ipairs(text.headings(buf)) do
    if seen and heading.act then from = heading.row break end
    if seen and heading.event then return end
    seen = seen or heading.event == event
  end
  if from then
    local to = text.end_of(buf, event)
    text.edit(buf, function() api.nvim_buf_set_lines(buf, from, to, true, {}) end)
  end
end

---- Showing ----

local show = {}

--- The chat of `session`, if its buffer is there.
local function chat_of(session)
  for buf, chat in pairs(state.chats) do
    if chat.session == session and api.nvim_buf_is_loaded(buf) then return chat end
  end
end

--- The row where the reply of `turn` goes: where its mark is, if that still is below its message and above the next.
function show.row(chat, turn)
  local row = turn.mark and api.nvim_buf_get_extmark_by_id(chat.buf, ns, turn.mark, {})[1]
  local own, between
  for _, heading in ipairs(text.headings(chat.buf)) do
    if turn.event and heading.event == turn.event then own = heading.row
    elseif heading.event and own and row and heading.row < row then between = true end
  end
  if row and own and own < row and not between then return row end
  return text.end_of(chat.buf, turn.event)
end

--- Lines as virtual text: tabs and control characters take room, and do nothing.
local function virtual(lines, group)
  local all = {}
  for _, line in ipairs(lines) do
    table.insert(all, { { (line:gsub('\t', '    '):gsub('%c', '?')), group } })
  end
  return all
end

--- Shows what is known of `turn` and is not text.
function show.turn(turn)
  local chat = chat_of(turn.session)
  if not chat then return end
  local lines = {}
  if turn.preview ~= '' then
    local shown = vim.split(turn.preview, '\n', { plain = true })
    local from = math.max(1, #shown - options.preview_lines + 1)
    vim.list_extend(lines, virtual(vim.list_slice(shown, from), 'OrgAgentPreview'))
  end
  if turn.question then
    vim.list_extend(lines, virtual(turn.question.lines, 'OrgAgentQuestion'))
  elseif turn.job then
    vim.list_extend(lines, virtual({ 'running; :OrgAgentCancel stops it' }, 'OrgAgentState'))
  elseif turn.state and not OVER[turn.state] then
    vim.list_extend(lines, virtual({ turn.state .. '...' }, 'OrgAgentState'))
  end
  if turn.notice then vim.list_extend(lines, virtual(vim.split(turn.notice, '\n', { plain = true }), 'OrgAgentNotice')) end
  -- The mark stands at the row below the message, so it moves down with what is put in there.
  local mark = turn.mark and api.nvim_buf_get_extmark_by_id(chat.buf, ns, turn.mark, {})
  local row = mark and mark[1] or show.row(chat, turn)
  local last = api.nvim_buf_line_count(chat.buf) - 1
  turn.mark = api.nvim_buf_set_extmark(chat.buf, ns, math.min(row, last), 0, {
    id = turn.mark, virt_lines = #lines > 0 and lines or nil, virt_lines_above = row <= last,
  })
  api.nvim_buf_set_var(chat.buf, 'org_agent_state', turn.state or '')
end

---- Server ----

local server = {}

--- What a person is told of an error of the server.
local function words(err)
  if type(err) ~= 'table' then return one_line(err, 500) end
  local hint = type(err.data) == 'table' and err.data.hint
  local all = one_line(err.message or 'the server gave no reason', 500)
  return (type(hint) == 'string' and hint ~= '') and all .. '. ' .. one_line(hint, 500) or all
end

local function command()
  return options.cmd or { vim.env.ORG_AGENT_PROGRAM or 'org-agent', 'serve' }
end

--- Sends a request, and starts the server if there is none. `ok` gets the result, `fail` words and the error's code;
--- without `fail` the user is told.
function server.request(method, params, ok, fail)
  local function failed(message, code)
    if fail then fail(message, code) else complain(message) end
  end
  if not state.rpc then server.start() end
  if not state.rpc then return failed('the server could not be started; :OrgAgentDoctor looks why') end
  local function send()
    local sent = state.rpc.request(method, params, function(err, result)
      if err then
        failed(words(err), type(err.data) == 'table' and err.data.code or nil)
      else
        if ok then ok(result) end
      end
    end)
    if not sent then failed('the server is gone; your text is still there') end
  end
  if state.ready then send() else table.insert(state.waiting, { send = send, fail = failed }) end
end

function server.start()
  local handlers = M._handlers
  local dispatchers = {
    notification = function(method, params)
      local handler = handlers[method]
      if handler and type(params) == 'table' then handler(params) end
    end,
    -- Receipt at once; the work follows in the order of all messages.
    server_request = function(method, params)
      local handler = handlers[method]
      if not handler or type(params) ~= 'table' then
        return nil, { code = -32601, message = 'This client has no method ' .. one_line(method, 100) }
      end
      vim.schedule(function() handler(params) end)
      return method == 'orgAgent/actuate' and { accepted = true } or vim.empty_dict()
    end,
    on_exit = function(code, signal) vim.schedule(function() server.died(code, signal) end) end,
    on_error = function(code, err) complain('an error of the connection (' .. tostring(code) .. '): ' .. one_line(vim.inspect(err), 300)) end,
  }
  local cmd = command()
  local ok, rpc
  if vim.fn.executable(cmd[1]) == 0 then
    return complain('there is no program ' .. cmd[1] .. '; install org-agent, or set ORG_AGENT_PROGRAM')
  elseif vim.fn.has('nvim-0.10') == 1 then
    ok, rpc = pcall(vim.lsp.rpc.start, cmd, dispatchers)
  else
    ok, rpc = pcall(vim.lsp.rpc.start, cmd[1], vim.list_slice(cmd, 2), dispatchers)
  end
  if not ok or not rpc then return complain(one_line(rpc or 'the server did not start', 300)) end
  state.rpc, state.ready = rpc, false
  local actuators = options.shell == 'client' and { 'insertAtEnd', 'shell' } or { 'insertAtEnd' }
  rpc.request('initialize', {
    processId = vim.fn.getpid(),
    clientInfo = { name = 'org-agent.lua', version = '1' },
    capabilities = { experimental = { orgAgent = { version = 1, actuators = actuators, streaming = true } } },
  }, function(err, result)
    if state.rpc ~= rpc then return end
    local offer = not err and vim.tbl_get(result, 'capabilities', 'experimental', 'orgAgent')
    local lacks = {}
    for _, method in ipairs(offer and NEEDED or {}) do
      if not vim.tbl_contains(offer.methods or {}, method) then table.insert(lacks, method) end
    end
    if err or not offer or offer.version ~= 1 or #lacks > 0 then
      local why = err and words(err) or #lacks > 0 and 'it is too old and lacks ' .. table.concat(lacks, ', ')
        or 'it does not speak version 1 of the protocol'
      complain('this server does not fit: ' .. why)
      return server.stop()
    end
    rpc.notify('initialized', vim.empty_dict())
    state.ready = true
    local waiting = state.waiting
    state.waiting = {}
    -- First what each chat lacks, then what waited.
    for _, chat in pairs(state.chats) do M._resume(chat) end
    for _, item in ipairs(waiting) do item.send() end
    M._load_skills()
  end)
end

function server.stop()
  local rpc = state.rpc
  if not rpc then return end
  state.stopping = true
  if rpc.terminate then rpc.terminate() else rpc.handle:kill(15) end
end

--- The server is gone. What it had accepted is safe; previews were its own.
function server.died(code, signal)
  local asked = state.stopping
  state.rpc, state.ready, state.stopping = nil, false, nil
  for _, job in pairs(state.jobs) do job.stop('the server is gone') end
  for _, turn in pairs(state.turns) do
    if not OVER[turn.state] then
      -- It may go on with the next server, which counts its messages anew.
      turn.preview, turn.question, turn.state, turn.seq, turn.attempt = '', nil, nil, 0, 0
      turn.notice = 'the server is gone'
      show.turn(turn)
    end
  end
  local waiting = state.waiting
  state.waiting = {}
  for _, chat in pairs(state.chats) do chat.sending = false end
  for _, item in ipairs(waiting) do item.fail('the server ended; :OrgAgentDoctor looks why') end
  if asked then return end
  complain(string.format('the server ended (status %s, signal %s)', tostring(code), tostring(signal)))
  local used = false
  for _, chat in pairs(state.chats) do used = used or chat.session ~= nil end
  if used and state.deaths < options.restarts then
    state.deaths = state.deaths + 1
    vim.defer_fn(function() if not state.rpc then server.start() end end, 500 * state.deaths)
  end
end

---- Turns ----

--- The turn `id`, made if `session` is given.
local function turn_of(id, session)
  if type(id) ~= 'string' then return end
  if not state.turns[id] and type(session) == 'string' then
    state.turns[id] = { id = id, session = session, seq = 0, attempt = 0, preview = '' }
  end
  return state.turns[id]
end

--- Whether a message of `turn` is new.
local function fresh(turn, params)
  if type(params.seq) ~= 'number' or params.seq <= turn.seq then return false end
  turn.seq = params.seq
  return true
end

local function report(params, status, message)
  server.request('orgAgent/actuated', { actuationId = params.actuationId, status = status, message = message })
end

local handlers = {}
M._handlers = handlers

handlers['orgAgent/turn'] = function(params)
  local turn = turn_of(params.turnId, params.sessionId)
  if not turn or OVER[turn.state] or not fresh(turn, params) then return end
  turn.state, turn.notice = params.state, nil
  if params.state == 'done' then state.deaths = 0 end
  if OVER[params.state] then
    turn.preview, turn.question = '', nil
    -- What failed has its System Error in the buffer, unless it was cut off.
    if params.state == 'failed' and not turn.replied then
      turn.notice = 'failed: ' .. one_line(params.reason or 'no reason given', 300) .. '; :OrgAgentRetry sends it again'
    elseif params.state == 'cancelled' then
      turn.notice = 'cancelled; :OrgAgentRetry asks again'
    end
  end
  show.turn(turn)
end

handlers['orgAgent/delta'] = function(params)
  local turn = turn_of(params.turnId)
  if not turn or OVER[turn.state] or type(params.text) ~= 'string' or type(params.attempt) ~= 'number'
    or params.attempt < turn.attempt or not fresh(turn, params) then
    return
  end
  if params.attempt > turn.attempt then turn.attempt, turn.preview = params.attempt, '' end
  local all = turn.preview .. params.text
  if #all > PREVIEW_BYTES then all = all:sub(-PREVIEW_BYTES / 2):gsub('^[\128-\191]+', '') end
  turn.preview = all
  -- Pieces come every few milliseconds; several are drawn at once.
  if not turn.drawing then
    turn.drawing = true
    vim.defer_fn(function()
      turn.drawing = false
      show.turn(turn)
    end, 30)
  end
end

handlers['orgAgent/retract'] = function(params)
  local turn = turn_of(params.turnId)
  if turn and type(params.attempt) == 'number' and params.attempt >= turn.attempt and fresh(turn, params) then
    turn.preview = ''
    show.turn(turn)
  end
end

handlers['orgAgent/actuate'] = function(params)
  local turn = turn_of(params.turnId, params.sessionId)
  local action = type(params.action) == 'table' and params.action or {}
  local payload = type(action.payload) == 'table' and action.payload or {}
  if not turn or not is_id(params.actuationId) then return end
  -- A request that comes late is done all the same: it is by its identifier that it is done once.
  if type(params.seq) == 'number' then turn.seq = math.max(turn.seq, params.seq) end
  local chat = chat_of(turn.session)
  if action.target == 'shell' and type(payload.cmd) == 'string' then
    M._ask(turn, params)
  elseif not (payload.action == 'insert-at-end' and type(payload.text) == 'string') then
    report(params, 'failed', 'This client can only insert text')
  elseif not chat then
    say('an answer waits; :OrgAgentSessions opens its chat')
  elseif chat.held and not turn.event then
    -- Where it belongs is being asked.
    table.insert(chat.held, params)
  else
    M._insert(chat, turn, params, payload.text)
  end
end

--- Puts a reply into its place, once.
function M._insert(chat, turn, params, said)
  local id = params.actuationId
  if not chat.applied[id] and not text.has_reply(chat.buf, id) then
    text.ensure_input(chat.buf)
    local ok, why = text.write_reply(chat.buf, show.row(chat, turn), id, said)
    if not ok then
      complain('the reply could not be written; :OrgAgentRetry gets it again: ' .. one_line(why, 200))
      return report(params, 'failed', 'the buffer cannot be changed')
    end
  end
  chat.applied[id], turn.replied = true, true
  turn.preview = ''
  show.turn(turn)
  report(params, 'done')
end

handlers['orgAgent/abort'] = function(params)
  local job = state.jobs[params.actuationId]
  if job then job.stop('stopped by the server') end
end

handlers['orgAgent/skills/changed'] = function() M._load_skills() end

--- Asks what the chat lacks, and says which turns were cut off.
function M._resume(chat, turns)
  if not chat.session then return end
  chat.held = chat.held or {}
  local applied = text.replies(chat.buf)
  for id in pairs(chat.applied) do
    if not vim.tbl_contains(applied, id) then table.insert(applied, id) end
  end
  local function put_in_held()
    local held = chat.held or {}
    chat.held = nil
    for _, params in ipairs(held) do handlers['orgAgent/actuate'](params) end
  end
  server.request('orgAgent/sessions/resume', { sessionId = chat.session, applied = applied, turns = turns or {} }, function(result)
    if not api.nvim_buf_is_loaded(chat.buf) then return end
    -- An earlier client may have sent what they answer.
    for _, known in ipairs(result.events or {}) do
      local turn = turn_of(known.turnId, chat.session)
      if turn and turn.event ~= known.mark and type(known.mark) == 'string' then
        if turn.mark then api.nvim_buf_del_extmark(chat.buf, ns, turn.mark) end
        turn.event, turn.mark = known.mark, nil
        show.turn(turn)
      end
    end
    for _, again in ipairs(result.resumed or {}) do
      local before, turn = state.turns[again.from], turn_of(again.turnId, chat.session)
      if before then
        turn.event, before.notice = before.event, nil
        show.turn(before)
      end
      chat.last = turn
    end
    -- What the last server left waiting goes on by itself.
    for _, id in ipairs(result.live or {}) do
      local turn = turn_of(id, chat.session)
      turn.state, turn.notice = turn.state or 'accepted', nil
      show.turn(turn)
    end
    for _, params in ipairs(result.actuations or {}) do handlers['orgAgent/actuate'](params) end
    chat.interrupted = {}
    for _, cut in ipairs(result.interrupted or {}) do
      local turn = turn_of(cut.turnId, chat.session)
      turn.event, turn.state, turn.notice = turn.event or cut.eventId, 'failed', 'interrupted; :OrgAgentRetry asks again'
      table.insert(chat.interrupted, cut.turnId)
      show.turn(turn)
    end
    if #(result.missing or {}) > 0 then
      say('another editor has replies of this chat that are not here; :OrgAgentSessions opens all of it')
    end
    put_in_held()
  end, function(message)
    complain(message)
    put_in_held()
  end)
end

---- Commands that a model wants to run ----

local function shell_lines(turn, params)
  local payload = params.action.payload
  local lines = { 'It wants to run:' }
  for _, line in ipairs(vim.split(payload.cmd, '\n', { plain = true })) do
    table.insert(lines, '    ' .. vim.fn.strtrans(line))
  end
  for _, part in ipairs({ { 'why', params.action.explanation }, { 'in', params.directory }, { 'sandbox', params.sandbox },
    { 'rule', params.rule }, { 'always would save', params.always } }) do
    if type(part[2]) == 'string' then table.insert(lines, part[1] .. ': ' .. one_line(part[2], 400)) end
  end
  table.insert(lines, ':OrgAgentDecide answers')
  return lines
end

--- A command is to run: at once if it is allowed and comes with its token, else the user is asked.
function M._ask(turn, params)
  if state.jobs[params.actuationId] or turn.question and turn.question.params.actuationId == params.actuationId then return end
  if params.decision == 'allow' then
    -- Without a token the server runs it by itself.
    if options.shell == 'client' then M._run(turn, params, params.token) end
    return
  end
  turn.question = { params = params, lines = shell_lines(turn, params) }
  show.turn(turn)
  say('a command waits for your decision; :OrgAgentDecide')
end

--- Tells the server what the user decided, and goes on.
local function decide(turn, choice, extra)
  local question = turn.question
  if not question then return complain('this command does not wait any more') end
  local params = vim.tbl_extend('force', { actuationId = question.params.actuationId, choice = choice }, extra or {})
  server.request('orgAgent/decide', params, function(result)
    if turn.question ~= question then return end
    if result.decision == 'ask' then
      -- Edited, it is to be asked again.
      question.params.action.payload.cmd = params.command or question.params.action.payload.cmd
      question.edited = params.command or question.edited
      question.params.rule, question.params.always = result.rule, nil
      question.lines = shell_lines(turn, question.params)
      say('the command as you edited it waits for your decision; :OrgAgentDecide')
    else
      turn.question = nil
      if result.saved == false then say('it was not saved: ' .. one_line(result.hint or '', 300)) end
      if result.decision == 'allow' and options.shell == 'client' then M._run(turn, question.params, result.token) end
    end
    show.turn(turn)
  end, function(message) complain('not decided: ' .. message) end)
end

--- Lets the user edit the command in a window of its own; writing it decides.
local function edit_command(turn)
  local question = turn.question
  local buf = api.nvim_create_buf(false, true)
  api.nvim_buf_set_name(buf, 'org-agent-command-' .. buf)
  vim.bo[buf].buftype, vim.bo[buf].bufhidden, vim.bo[buf].modeline = 'acwrite', 'wipe', false
  api.nvim_buf_set_lines(buf, 0, -1, true, vim.split(question.params.action.payload.cmd, '\n', { plain = true }))
  vim.bo[buf].modified = false
  api.nvim_create_autocmd('BufWriteCmd', { buffer = buf, callback = function()
    local edited = table.concat(api.nvim_buf_get_lines(buf, 0, -1, true), '\n')
    vim.bo[buf].modified = false
    if turn.question == question then decide(turn, 'run', { command = edited }) end
    vim.schedule(function() if api.nvim_buf_is_valid(buf) then api.nvim_buf_delete(buf, { force = true }) end end)
  end })
  vim.cmd('split')
  api.nvim_win_set_buf(0, buf)
  say('edit the command; :w runs it if the server agrees, :q! leaves it waiting')
end

--- Asks about the command that waits in `chat`.
function M.decide(chat)
  local turn
  for _, each in pairs(state.turns) do
    if each.question and each.session == chat.session then turn = each end
  end
  if not turn then return say('no command waits for a decision here') end
  local question = turn.question
  local again = question.edited and { command = question.edited } or nil
  local choices = { 'Run', 'Deny', 'Edit' }
  -- An edited command is another one than `always` speaks of.
  if question.params.always then table.insert(choices, 'Always') end
  vim.ui.select(choices, { prompt = table.concat(question.lines, '\n', 1, #question.lines - 1), kind = 'org-agent' }, function(choice)
    if turn.question ~= question then return choice and complain('this command does not wait any more') end
    if choice == 'Run' then decide(turn, 'run', again)
    elseif choice == 'Deny' then decide(turn, 'deny')
    elseif choice == 'Edit' then edit_command(turn)
    elseif choice == 'Always' then decide(turn, 'always', again) end
  end)
end

--- Keeps the beginning and the end of a command's output, and passes on the beginning live.
local function stream(actuation, name, count)
  local self = { head = '', tail = '', dropped = 0, rest = '', live = 0 }
  function self.add(bytes)
    local room = KEEP - #self.head
    self.head = self.head .. bytes:sub(1, room)
    self.tail = self.tail .. bytes:sub(room + 1)
    if #self.tail > 2 * KEEP then
      self.dropped = self.dropped + #self.tail - KEEP
      self.tail = self.tail:sub(-KEEP)
    end
    if self.live < 2 * KEEP then
      local now = self.rest .. bytes
      local _, cut = clean(now)
      self.rest = cut > 0 and now:sub(-cut) or ''
      local piece = clean(now:sub(1, #now - cut))
      self.live = self.live + #piece
      if piece ~= '' and state.ready then
        count.seq = count.seq + 1
        state.rpc.notify('orgAgent/output', { actuationId = actuation, seq = count.seq, stream = name, text = piece })
      end
    end
  end
  function self.text()
    if self.dropped == 0 and #self.tail <= KEEP then return (clean(self.head .. self.tail)), false end
    local dropped = self.dropped + math.max(0, #self.tail - KEEP)
    return clean(self.head) .. string.format('\n[... %d bytes are left out here ...]\n', dropped) .. clean(self.tail:sub(-KEEP)), true
  end
  return self
end

--- Runs what `token` is good for, as a process group of its own.
function M._run(turn, params, token)
  local id = params.actuationId
  local function outcome(fields)
    turn.job = nil
    state.jobs[id] = nil
    if state.ready then
      server.request('orgAgent/actuated', vim.tbl_extend('force', { actuationId = id, token = token }, fields))
    end
    show.turn(turn)
  end
  if type(token) ~= 'string' or params.host then
    return outcome({ status = 'failed', message = 'This client runs commands by a token only' })
  end
  local count, pipes, ended, why = { seq = 0 }, { out = uv.new_pipe(false), err = uv.new_pipe(false) }, nil, nil
  local streams = { out = stream(id, 'stdout', count), err = stream(id, 'stderr', count) }
  local open, finished, timer, kill_timer = 2, false, uv.new_timer(), uv.new_timer()
  local handle, pid
  local function finish()
    if finished or not ended then return end
    finished = true
    for _, thing in ipairs({ timer, kill_timer, pipes.out, pipes.err, handle }) do
      if not thing:is_closing() then thing:close() end
    end
    local stdout, cut_out = streams.out.text()
    local stderr, cut_err = streams.err.text()
    outcome({ status = why and 'failed' or 'done', exitCode = ended.signal > 0 and 128 + ended.signal or ended.code,
      stdout = stdout, stderr = stderr, truncated = cut_out or cut_err, message = why, sandboxed = params.confined == true })
  end
  handle, pid = uv.spawn(command()[1], { args = { 'sandbox', '--token', token }, stdio = { nil, pipes.out, pipes.err },
    cwd = uv.os_homedir(), detached = true }, vim.schedule_wrap(function(code, signal)
      ended = { code = code, signal = signal }
      -- Something in the background can hold its streams.
      if open == 0 then finish() else vim.defer_fn(finish, 500) end
    end))
  if not handle then
    for _, thing in ipairs({ timer, kill_timer, pipes.out, pipes.err }) do thing:close() end
    return outcome({ status = 'failed', message = 'it could not be started: ' .. one_line(pid, 200) })
  end
  for name, pipe in pairs(pipes) do
    pipe:read_start(vim.schedule_wrap(function(_, bytes)
      if bytes and not finished then streams[name].add(bytes) end
      if not bytes then
        open = open - 1
        if open == 0 then finish() end
      end
    end))
  end
  local job = {}
  function job.stop(reason)
    if why or finished then return end
    why = reason
    uv.kill(-pid, 'sigterm')
    kill_timer:start(2000, 0, job.kill)
  end
  function job.kill() uv.kill(-pid, 'sigkill') end
  local seconds = params.action.payload.timeout or options.timeout
  timer:start(seconds * 1000, 0, function() job.stop('ended after its time of ' .. seconds .. ' s') end)
  state.jobs[id], turn.job = job, job
  show.turn(turn)
end

---- User ----

--- Makes `buf` a chat of `session`, which may be nil.
local function adopt(buf, session)
  vim.bo[buf].modeline = false
  if vim.bo[buf].filetype == '' then vim.bo[buf].filetype = 'org' end
  vim.bo[buf].completefunc = 'v:lua.OrgAgentComplete'
  local chat = { buf = buf, session = session, dir = vim.fn.getcwd(), applied = {}, interrupted = {} }
  state.chats[buf] = chat
  api.nvim_create_autocmd({ 'BufWipeout', 'BufUnload' }, { buffer = buf, callback = function() state.chats[buf] = nil end })
  text.ensure_input(buf)
  -- A server that starts resumes every chat, and tells its skills.
  if state.ready then M._resume(chat) elseif not state.rpc then server.start() end
  return chat
end

local function to_input(buf)
  api.nvim_win_set_buf(0, buf)
  api.nvim_win_set_cursor(0, { api.nvim_buf_line_count(buf), 0 })
end

local function new_buffer(name)
  local buf = api.nvim_create_buf(true, false)
  vim.bo[buf].modeline, vim.bo[buf].swapfile = false, false
  local free, number = name, 1
  while vim.fn.bufexists(free) == 1 do
    number = number + 1
    free = name:gsub('^[^.]+', '%0-' .. number)
  end
  api.nvim_buf_set_name(buf, free)
  return buf
end

--- The chat of the current buffer, or nil and words.
local function here()
  local chat = state.chats[api.nvim_get_current_buf()]
  if not chat then complain('this buffer is no chat; :OrgAgentChat opens one') end
  return chat
end

--- Opens the chat, another one with `anew`, or the one in `file`.
function M.chat(file, anew)
  if file and file ~= '' then
    -- Modelines are looked at when a file is read.
    local before = vim.go.modeline
    vim.go.modeline = false
    local ok, why = pcall(vim.cmd, 'edit ' .. vim.fn.fnameescape(file))
    vim.go.modeline = before
    if not ok then return complain(one_line(why, 300)) end
    local buf = api.nvim_get_current_buf()
    local _, session = text.headings(buf)
    local chat = state.chats[buf] or adopt(buf, session)
    to_input(buf)
    return chat
  end
  if not anew then
    for buf, chat in pairs(state.chats) do
      if api.nvim_buf_is_loaded(buf) then
        to_input(buf)
        return chat
      end
    end
  end
  local chat = adopt(new_buffer('org-agent-chat.org'), nil)
  vim.bo[chat.buf].modified = false
  to_input(chat.buf)
  return chat
end

--- The files that a message names with `@`, as context. Nil and words if one cannot go along.
local function files_of(chat, said)
  local items, seen = {}, {}
  for name in (' ' .. said):gmatch('%s@([^%s]+)') do
    local path = name:sub(1, 1) == '/' and name or chat.dir .. '/' .. name
    local found = uv.fs_stat(path)
    if found and found.type == 'file' and not seen[path] then
      seen[path] = true
      if found.size > ITEM_BYTES or #items == ITEMS then return nil, name .. ' is too large, or one file too many' end
      local file = io.open(path, 'rb')
      local bytes = file and file:read('*a')
      if file then file:close() end
      if not bytes or clean(bytes) ~= bytes then return nil, name .. ' cannot be read as text' end
      table.insert(items, { kind = 'file', name = name, text = bytes })
    end
  end
  return items
end

local function send_pending(chat)
  local pending = chat.pending
  chat.sending = true
  local function failed(message, code)
    chat.sending = false
    -- What the server refused is another message when it is tried again; what it never answered is the same.
    if code then chat.pending = nil end
    complain('not sent, your text is still there: ' .. message)
  end
  local function event()
    server.request('orgAgent/event', {
      sensor = 'chat-message', clientId = pending.id, sessionId = chat.session, text = pending.text, level = 1,
      directory = chat.dir, context = #pending.context > 0 and pending.context or nil,
    }, function(result)
      chat.sending, chat.pending = false, nil
      local turn = turn_of(result.turnId, result.sessionId)
      turn.event, turn.state = result.eventId, turn.state or 'accepted'
      local last = chat.last
      chat.last = turn
      if not api.nvim_buf_is_loaded(chat.buf) then return end
      local written = false
      for _, heading in ipairs(text.headings(chat.buf)) do written = written or heading.event == result.eventId end
      if not written then text.write_prompt(chat.buf, result.sessionId, result.eventId, pending.text) end
      -- The user goes on: what became of the last one is no news.
      if last and OVER[last.state] then
        last.notice = nil
        show.turn(last)
      end
      show.turn(turn)
    end, failed)
  end
  -- A chat that begins is a session of its own, never the newest one of some name.
  if chat.session then return event() end
  server.request('orgAgent/sessions/create', vim.empty_dict(), function(result)
    chat.session = result.id
    event()
  end, failed)
end

function M.send(chat)
  if chat.sending then return complain('your last message is still on its way') end
  local said = text.draft(chat.buf)
  if said == '' then return complain('write something under the last heading first') end
  if clean(said) ~= said then return complain('your text has bytes that are no characters') end
  local context, why = files_of(chat, said)
  if not context then return complain('not sent: ' .. why) end
  if not (chat.pending and chat.pending.text == said) then
    local seed = table.concat({ uv.hrtime(), vim.fn.getpid(), vim.fn.reltimestr(vim.fn.reltime()), said, vim.fn.hostname() }, ' ')
    chat.pending = { id = vim.fn.sha256(seed), text = said, context = context }
  end
  send_pending(chat)
end

--- The turn that is under way in `chat`, else the next one.
local function live(chat)
  local found
  for _, turn in pairs(state.turns) do
    if turn.session == chat.session and turn.state and not OVER[turn.state] and (not found or turn.state ~= 'accepted') then
      found = turn
    end
  end
  return found
end

function M.cancel(chat)
  local turn = live(chat)
  if not turn then return say('nothing is under way here') end
  server.request('orgAgent/cancel', { turnId = turn.id }, function(result)
    if not result.cancelled then say('it was too late to cancel it') end
  end)
end

--- Asks again: what was not acknowledged, else what was cut off, else the last message.
function M.retry(chat, force)
  if chat.sending then return complain('your last message is still on its way') end
  if chat.pending then return send_pending(chat) end
  if not chat.session then return say('nothing was said here yet') end
  if #chat.interrupted > 0 then return M._resume(chat, chat.interrupted) end
  local last = chat.last
  if not force and not (last and (last.state == 'failed' or last.state == 'cancelled')) then
    return say('the last message has its answer; :OrgAgentRetry! asks again all the same')
  end
  server.request('orgAgent/sessions/regenerate', { sessionId = chat.session }, function(result)
    if last then
      last.notice = nil
      show.turn(last)
    end
    text.remove_replies(chat.buf, result.mark)
    local turn = turn_of(result.turnId, chat.session)
    turn.event, turn.state = result.mark, turn.state or 'accepted'
    chat.last = turn
    show.turn(turn)
  end)
end

--- A window with `lines` that are nobody's file.
local function page(name, lines, filetype)
  local buf = new_buffer(name)
  vim.bo[buf].buftype, vim.bo[buf].bufhidden = 'nofile', 'wipe'
  api.nvim_buf_set_lines(buf, 0, -1, true, lines)
  if filetype then vim.bo[buf].filetype = filetype end
  vim.bo[buf].modifiable = false
  vim.cmd('split')
  api.nvim_win_set_buf(0, buf)
  return buf
end

--- Shows everything behind the reply at the cursor, else behind the last turn.
function M.why(chat)
  local params = chat.last and { turnId = chat.last.id }
  local row = api.nvim_win_get_cursor(0)[1] - 1
  for _, heading in ipairs(text.headings(chat.buf)) do
    if heading.row <= row and heading.act then params = { actuationId = heading.act } end
  end
  if not params then return say('there is no reply yet') end
  params.format = 'org'
  server.request('orgAgent/why', params, function(result)
    page('org-agent-why.org', vim.split(result.org or '', '\n', { plain = true }), 'org')
  end)
end

--- Opens `session` from the server's record.
function M.open(session)
  local open = chat_of(session)
  if open then return to_input(open.buf) end
  server.request('orgAgent/sessions/export', { sessionId = session }, function(result)
    local buf = new_buffer('org-agent-chat.org')
    api.nvim_buf_set_lines(buf, 0, -1, true, lines_of(result.org))
    local _, written = text.headings(buf)
    if not written then api.nvim_buf_set_lines(buf, 0, 0, true, drawer('OA_SESSION', session)) end
    adopt(buf, session)
    vim.bo[buf].modified = false
    to_input(buf)
  end)
end

function M.sessions()
  server.request('orgAgent/sessions/list', { recent = true, archived = false, limit = 100 }, function(result)
    if #result.items == 0 then return say('there are no sessions yet; :OrgAgentChat begins one') end
    vim.ui.select(result.items, { prompt = 'Session:', kind = 'org-agent', format_item = function(item)
      return string.format('%s  [%s, %d messages]', one_line(item.title, 80), item.status, item.messages)
    end }, function(item) if item then M.open(item.id) end end)
  end)
end

--- Runs `org-agent doctor` and shows what it says.
function M.doctor()
  local program, lines = command()[1], {}
  if vim.fn.executable(program) == 0 then
    return complain('there is no program ' .. program .. '; install org-agent, or set ORG_AGENT_PROGRAM')
  end
  local function add(_, data) vim.list_extend(lines, data) end
  vim.fn.jobstart({ program, 'doctor' }, { stdout_buffered = true, stderr_buffered = true, on_stdout = add, on_stderr = add,
    on_exit = vim.schedule_wrap(function(_, code)
      page('org-agent-doctor', lines)
      say(code == 0 and 'the chat can work' or 'the chat cannot work yet; the page says what to do')
    end) })
end

function M._load_skills()
  if not state.ready then return end
  server.request('orgAgent/skills/list', { limit = 500, directory = vim.fn.getcwd() }, function(result)
    state.skills = vim.tbl_map(function(item) return { word = '/' .. item.name, menu = one_line(item.description, 80) } end, result.items)
  end, function() end)
end

--- For `completefunc`: `/SKILL` at the beginning of a message, `@FILE` in it.
function M.complete(findstart, base)
  local buf = api.nvim_get_current_buf()
  local chat = state.chats[buf]
  if findstart == 1 then
    if not chat then return -3 end
    local row, column = unpack(api.nvim_win_get_cursor(0))
    local before = api.nvim_get_current_line():sub(1, column)
    local _, first = text.draft(buf)
    local slash, at = before:find('^%s*()/%S*$') and before:find('/'), before:match('^.*()@%S*$')
    if slash and row - 1 == first then return slash - 1 end
    if at and (at == 1 or before:sub(at - 1, at - 1):find('%s')) then return at - 1 end
    return -3
  end
  local found = {}
  if base:sub(1, 1) == '/' then
    for _, skill in ipairs(state.skills) do
      if vim.startswith(skill.word, base) then table.insert(found, skill) end
    end
  elseif chat and base:sub(1, 1) == '@' then
    local folder, prefix = base:sub(2):match('^(.*/)([^/]*)$')
    folder, prefix = folder or '', prefix or base:sub(2)
    local scan = uv.fs_scandir(folder:sub(1, 1) == '/' and folder or chat.dir .. '/' .. folder)
    while scan and #found < 1000 do
      local name, kind = uv.fs_scandir_next(scan)
      if not name then break end
      if vim.startswith(name, prefix) and not name:find('[%s%c]') and (prefix ~= '' or name:sub(1, 1) ~= '.') then
        table.insert(found, '@' .. folder .. name .. (kind == 'directory' and '/' or ''))
      end
    end
    table.sort(found)
  end
  return found
end

--- For a status line: what the chat in the current buffer is doing.
function M.status()
  local chat = state.chats[api.nvim_get_current_buf()]
  local turn = chat and live(chat)
  return turn and 'org-agent: ' .. turn.state or ''
end

function M.setup(given)
  options = vim.tbl_extend('force', options, given or {})
  _G.OrgAgentComplete = M.complete
  for group, link in pairs({ OrgAgentPreview = 'Comment', OrgAgentState = 'NonText', OrgAgentQuestion = 'WarningMsg', OrgAgentNotice = 'ErrorMsg' }) do
    api.nvim_set_hl(0, group, { link = link, default = true })
  end
  local function define(name, run, extra)
    api.nvim_create_user_command(name, run, extra or {})
  end
  define('OrgAgentChat', function(arguments) M.chat(arguments.args, arguments.bang) end, { nargs = '?', bang = true, complete = 'file' })
  define('OrgAgentSessions', M.sessions)
  define('OrgAgentDoctor', M.doctor)
  for name, run in pairs({ Send = M.send, Cancel = M.cancel, Decide = M.decide, Why = M.why }) do
    define('OrgAgent' .. name, function()
      local chat = here()
      if chat then run(chat) end
    end)
  end
  define('OrgAgentRetry', function(arguments)
    local chat = here()
    if chat then M.retry(chat, arguments.bang) end
  end, { bang = true })
  api.nvim_create_autocmd('VimLeavePre', { callback = function()
    for _, job in pairs(state.jobs) do job.kill() end
    server.stop()
  end })
end

return M
