-- A real Neovim with examples/neovim/org-agent.lua against the real server, driven by keys.
--
--     nvim --headless -u NONE -c 'luafile tests/examples/neovim.lua'
--
-- This Neovim starts others, and types into them. In the environment: ORG_AGENT_PROGRAM, ORG_AGENT_HOME, a model that
-- answers as tests/examples/neovim.rs says, SCENARIO, and WORK, an empty directory. A line "STEP name" on standard
-- output opens the model's gate of that name; at the end there is "PASS name" or "FAIL name reason".

local api = vim.api
local work = vim.env.WORK
local child

local function tell(...)
  io.stdout:write(table.concat({ ... }, ' ') .. '\n')
  io.stdout:flush()
end

---- The Neovim that is tested ----

local function lua(code, ...)
  return vim.rpcrequest(child, 'nvim_exec_lua', code, { ... })
end

local function keys(typed)
  -- What does not fit into the queue at once is typed later.
  while #typed > 0 do
    typed = typed:sub(vim.rpcrequest(child, 'nvim_input', typed) + 1)
  end
end

local function start(options)
  child = vim.fn.jobstart({ vim.v.progpath, '--embed', '--headless', '-u', 'NONE', '-i', 'NONE', '-n' }, { rpc = true })
  assert(child > 0, 'Neovim starts')
  lua([[
    vim.o.columns, vim.o.lines, vim.o.modeline, vim.o.modelines = 120, 60, true, 20
    _G.said = {}
    vim.notify = function(text) table.insert(said, text) end
    local select = vim.ui.select
    vim.ui.select = function(...)
      _G.asked = true
      select(...)
      _G.asked = false
    end
    _G.M = dofile('examples/neovim/org-agent.lua')
    M.setup(...)
  ]], options or vim.empty_dict())
end

local function buffer()
  return table.concat(vim.rpcrequest(child, 'nvim_buf_get_lines', 0, 0, -1, true), '\n') .. '\n'
end

--- All virtual lines of the buffer, as text.
local function shown()
  return lua([[
    local all = {}
    for _, space in pairs(vim.api.nvim_get_namespaces()) do
      for _, mark in ipairs(vim.api.nvim_buf_get_extmarks(0, space, 0, -1, { details = true })) do
        for _, line in ipairs(mark[4].virt_lines or {}) do
          for _, chunk in ipairs(line) do table.insert(all, chunk[1]) end
          table.insert(all, '\n')
        end
      end
    end
    return table.concat(all)
  ]])
end

local function messages()
  return table.concat(lua('return said'), '\n')
end

local function has(where, what)
  return where:find(what, 1, true) ~= nil
end

local function check(condition, what)
  if not condition then
    error(what .. '; buffer:\n' .. buffer() .. '\nshown:\n' .. shown() .. '\nsaid:\n' .. messages(), 2)
  end
end

local function await(what, condition)
  local found
  vim.wait(30000, function()
    -- While it asks something, it answers nothing else.
    found = not vim.rpcrequest(child, 'nvim_get_mode').blocking and condition()
    return found
  end, 20)
  if not found and vim.rpcrequest(child, 'nvim_get_mode').blocking then error('it asks something, instead of: ' .. what, 2) end
  check(found, 'waited in vain for ' .. what)
  return found
end

local function await_question()
  local function asks()
    local mode = vim.rpcrequest(child, 'nvim_get_mode')
    return mode.blocking or mode.mode == 'c' and lua('return asked')
  end
  assert(vim.wait(30000, asks, 20), 'a question comes up')
end

local function await_text(what)
  return await(what, function() return has(buffer(), what) end)
end

local function await_shown(what)
  return await(what, function() return has(shown(), what) end)
end

--- Waits until nothing is shown but text.
local function await_calm()
  return await('the end of the turn', function() return shown() == '' end)
end

local function ask(question)
  keys('<Esc>:OrgAgentChat<CR>GA' .. question .. '<Esc>:OrgAgentSend<CR>')
  -- Acknowledged, it is below the drawer of its event.
  await_text('\n:END:\n' .. question .. '\n')
end

--- What stands in the buffer for these prompts and replies: identifiers are taken out of it.
local function plain()
  return (buffer():gsub(':PROPERTIES:\n:OA_%w+: [%w-]+\n:END:\n', ''))
end

local function step(name)
  tell('STEP', name)
end

--- Chooses from a question.
local function choose(command, number)
  keys(':' .. command .. '<CR>')
  await_question()
  keys(number .. '<CR>')
end

---- Scenarios ----

local scenarios = {}

function scenarios.stream()
  start()
  ask('Grüße, stream please.')
  await_shown('The first part')
  local before = buffer()
  check(not has(before, 'The first part'), 'a preview is not in the text')
  keys(':write! ' .. work .. '/saved.org<CR>')
  await('the file', function() return vim.fn.filereadable(work .. '/saved.org') == 1 end)
  check(table.concat(vim.fn.readfile(work .. '/saved.org'), '\n') .. '\n' == before, 'a preview is not saved')
  step('stream-seen')
  await_text('The first part and the rest.')
  await_calm()
  check(plain() == '* USER\nGrüße, stream please.\n** ASSISTANT\nThe first part and the rest.\n* USER\n\n', 'the layout')
  check(before:find('^:PROPERTIES:\n:OA_SESSION: [%w-]+\n:END:\n%* USER\n:PROPERTIES:\n:OA_EVENT: %x+\n:END:\nGrüße') ~= nil, 'the drawers')
  local after = buffer()
  keys('u')
  await('one step of undo', function() return buffer() == before end)
  keys('<C-r>')
  await('redo', function() return buffer() == after end)
end

function scenarios.rejected()
  start()
  ask('Make a mistake first.')
  await_shown('Sure, here is')
  step('rejected-seen')
  await('the retraction', function() return not has(shown(), 'Sure') end)
  check(not has(buffer(), 'Sure'), 'what was rejected is not in the text')
  step('rejected-gone')
  await_text('Repaired.')
  await_calm()
  check(not has(buffer(), 'Sure'), 'what was rejected is nowhere')
end

function scenarios.typing()
  start()
  ask('Take your time.')
  await_shown('Part one')
  keys('GAmy next ')
  await_text('my next ')
  step('typing-first')
  await_text('** ASSISTANT')
  keys('thought')
  await_text('my next thought')
  keys('<Esc>')
  await_calm()
  local said = '* USER\nTake your time.\n** ASSISTANT\nPart one, and the end.\n* USER\n'
  check(plain() == said .. 'my next thought\n', 'what was typed stands below the reply')
  local id = buffer():match(':OA_ACT: (%S+)')
  -- The reply was put in after the first words, and before the last.
  lua([[
    local params = { actuationId = ..., seq = 0, action = { target = 'emacs', payload = { action = 'insert-at-end', text = 'Twice.' } } }
    params.turnId, params.sessionId = select(2, ...), select(3, ...)
    M._handlers['orgAgent/actuate'](params)
  ]], id, 'some-turn', buffer():match(':OA_SESSION: (%S+)'))
  check(not has(buffer(), 'Twice.'), 'what is there is not put in again')
  -- What was typed after the reply may be a step of its own; 0.7 has it in the one before.
  local before
  repeat
    before = plain()
    keys('u')
    await('a step of undo', function() return plain() ~= before end)
  until not has(plain(), '** ASSISTANT')
  check(has(plain(), 'my next') and before == (plain():gsub('Take your time.\n', '%0** ASSISTANT\nPart one, and the end.\n')),
    'one step takes back the reply, and nothing else')
  lua([[
    local params = { actuationId = ..., seq = 0, action = { target = 'emacs', payload = { action = 'insert-at-end', text = 'Twice.' } } }
    params.turnId, params.sessionId = select(2, ...), select(3, ...)
    M._handlers['orgAgent/actuate'](params)
  ]], id, 'some-turn', buffer():match(':OA_SESSION: (%S+)'))
  check(not has(buffer(), 'Twice.'), 'what was taken back is not put in again')
end

--- What is typed before the server has the message, which cannot begin before there is a file.
function scenarios.early()
  for number, case in ipairs({
    { 'A and <lt>b> more<CR>last<Esc>', 'and <b> more\nlast' },
    { 'o<CR>more<Esc>', 'more' },
    { 'ccanother<Esc>', 'another' },
    { 'A?<Esc>', 'Question?' },
    { '', '' },
  }) do
    local file = work .. '/go-' .. number
    local wait = 'while [ ! -e "$0" ]; do sleep 0.02; done; exec "$ORG_AGENT_PROGRAM" serve'
    start({ cmd = { 'sh', '-c', wait, file } })
    keys(':OrgAgentChat<CR>GAQuestion<Esc>:OrgAgentSend<CR>G' .. case[1])
    await('the keys', function() return case[2] == '' or has(buffer(), vim.split(case[2], '\n')[1]) end)
    check(not has(buffer(), 'OA_EVENT'), 'the message is on its way')
    vim.fn.writefile({}, file)
    await_text('** ASSISTANT')
    await_calm()
    check(plain() == '* USER\nQuestion\n** ASSISTANT\nAnswer.\n* USER\n' .. case[2] .. '\n', 'case ' .. number)
  end
end

function scenarios.approve()
  start()
  ask('Run something.')
  await_shown('echo marker-$((40+2))')
  check(has(messages(), 'a command waits'), 'it is said')
  check(not has(buffer(), 'echo'), 'a question is not text')
  choose('OrgAgentDecide', 1)
  await_text('It printed marker-42.')
  await_calm()
end

function scenarios.deny()
  start()
  ask('Run something.')
  await_shown('echo marker')
  choose('OrgAgentDecide', 2)
  await_text('Then not.')
  await_calm()
end

function scenarios.edit()
  start()
  ask('Run something.')
  await_shown('echo marker')
  choose('OrgAgentDecide', 3)
  await('the command to edit', function() return buffer() == 'echo marker-$((40+2))\n' end)
  keys('$hi+1<Esc>:w<CR>')
  await_text('It printed marker-43.')
  await_calm()
end

function scenarios.own()
  start({ shell = 'client' })
  keys(':cd ' .. work .. '<CR>')
  ask('Run something.')
  await_shown('echo marker')
  choose('OrgAgentDecide', 1)
  await_text('It printed marker-42.')
  await_calm()
  ask('And something long.')
  await_shown('sleep 987')
  choose('OrgAgentDecide', 1)
  await_shown('running; :OrgAgentCancel stops it')
  -- Its processes, by the number of their group's first.
  local function alive(pid)
    return vim.loop.kill(pid, 0) == 0
  end
  local group
  await('its process', function()
    for _, pid in ipairs(lua('return vim.api.nvim_get_proc_children(vim.fn.getpid())')) do
      local file = io.open('/proc/' .. pid .. '/cmdline')
      local line = file and file:read('*a') or ''
      if file then file:close() end
      if has(line, 'sandbox') then group = pid end
    end
    return group
  end)
  -- Before that, its token would just be good for nothing any more.
  await('the beginning of the command', function() return vim.fn.filereadable(work .. '/begun') == 1 end)
  keys(':OrgAgentCancel<CR>')
  await_shown('cancelled')
  assert(vim.wait(30000, function() return not alive(group) end, 20), 'the command was ended')
  ask('Are you well?')
  await_text('I am.')
end

--- A command that only reads runs unasked, whoever runs it.
local function allowed(options)
  vim.fn.writefile({ 'x' }, work .. '/marker-44')
  start(options)
  keys(':cd ' .. work .. '<CR>')
  ask('Look around.')
  await_text('There is marker-44.')
  await_calm()
  check(not has(messages(), 'waits'), 'nothing was asked')
end

function scenarios.allowed()
  allowed()
end

function scenarios.allowed_own()
  allowed({ shell = 'client' })
end

function scenarios.cancel()
  start()
  ask('Never mind.')
  await_shown('Once upon a time')
  keys(':OrgAgentCancel<CR>')
  await_shown('cancelled')
  check(not has(shown() .. buffer(), 'Once upon'), 'the preview is gone')
  step('cancel-done')
  keys(':OrgAgentRetry<CR>')
  await_text('** ASSISTANT')
  await_calm()
  check(plain() == '* USER\nNever mind.\n** ASSISTANT\nNow.\n* USER\n\n', 'the second answer is the only one')
end

function scenarios.failure()
  start()
  ask('Fail first.')
  await_text('*System Error:*')
  await_calm()
  keys(':OrgAgentRetry<CR>')
  await_text('Better.')
  await_calm()
  check(plain() == '* USER\nFail first.\n** ASSISTANT\nBetter.\n* USER\n\n', 'the error made room for the answer')
  keys(':OrgAgentWhy<CR>')
  await('why', function() return has(buffer(), 'Fail first.') and not has(buffer(), 'OA_SESSION') end)
end

function scenarios.death()
  start()
  ask('Go on for ever.')
  await_shown('Once upon a time')
  for _, pid in ipairs(lua('return vim.api.nvim_get_proc_children(vim.fn.getpid())')) do vim.loop.kill(pid, 'sigkill') end
  await_shown('interrupted')
  check(has(messages(), 'the server ended'), 'it is said')
  check(not has(shown() .. buffer(), 'Once upon'), 'the preview is gone')
  keys(':OrgAgentRetry<CR>')
  await_text('Yes.')
  await_calm()
  check(plain() == '* USER\nGo on for ever.\n** ASSISTANT\nYes.\n* USER\n\n', 'the reply stands under its prompt')
end

function scenarios.reopen()
  local file = work .. '/chat.org'
  start()
  ask('One?')
  await_text('First.')
  await_calm()
  ask('Two?')
  await_shown('Once upon a time')
  keys(':write ' .. file .. '<CR>')
  await('the file', function() return vim.fn.filereadable(file) == 1 end)
  local session, first = buffer():match(':OA_SESSION: (%S+)'), child
  -- Another one cannot have the session meanwhile.
  start()
  keys(':OrgAgentChat ' .. file .. '<CR>')
  await('the conflict', function() return has(messages(), 'another') or has(messages(), 'held') end)
  vim.fn.jobstop(child)
  vim.fn.jobwait({ child })
  vim.loop.kill(vim.fn.jobpid(first), 'sigkill')
  vim.fn.jobwait({ first })
  start()
  -- The file has a modeline; read as usual, it counts.
  keys(':edit ' .. file .. '<CR>')
  await('the modeline', function() return lua('return vim.bo.shiftwidth') == 7 end)
  keys(':bwipe!<CR>:OrgAgentChat ' .. file .. '<CR>')
  await_shown('interrupted')
  check(lua('return vim.bo.shiftwidth') ~= 7, 'a chat has no modelines')
  keys(':OrgAgentRetry<CR>')
  await_text('Second.')
  await_calm()
  check(plain() == '* USER\nOne?\n** ASSISTANT\nFirst. vim: set sw=7 :\n* USER\nTwo?\n** ASSISTANT\nSecond.\n* USER\n\n', 'all of it is there')
  local whole = buffer()
  ask('Three?')
  await_text('Third.')
  await_calm()
  -- From the record it is the same.
  keys(':bwipe!<CR>')
  await('no chat', function() return not has(buffer(), session) end)
  choose('OrgAgentSessions', 1)
  await_text('Third.')
  check(buffer():sub(1, #whole - #'* USER\n\n') == whole:sub(1, -1 - #'* USER\n\n'), 'the record is what the buffer was')
end

function scenarios.waited()
  local file = work .. '/chat.org'
  start()
  ask('One?')
  await_shown('Once upon a time')
  for _, question in ipairs({ 'Two?', 'Three?' }) do ask(question) end
  await('the marks', function() return select(2, buffer():gsub(':OA_EVENT:', '')) == 3 end)
  keys(':write ' .. file .. '<CR>')
  await('the file', function() return vim.fn.filereadable(file) == 1 end)
  local first = vim.fn.jobpid(child)
  local servers = vim.api.nvim_get_proc_children(first)
  vim.loop.kill(first, 'sigkill')
  vim.fn.jobwait({ child })
  -- Its server leaves by itself, and with it goes the lock.
  check(#servers > 0 and vim.wait(30000, function()
    for _, pid in ipairs(servers) do if vim.loop.kill(pid, 0) == 0 then return false end end
    return true
  end, 20), 'the server ends')
  -- What waited is answered in its place, by a client that did not send it.
  start()
  keys(':OrgAgentChat ' .. file .. '<CR>')
  await_text('Third.')
  check(plain() == '* USER\nOne?\n* USER\nTwo?\n** ASSISTANT\nSecond.\n* USER\nThree?\n** ASSISTANT\nThird.\n* USER\n\n', 'each has its place')
end

function scenarios.complete()
  vim.fn.writefile({ 'What is in the file.' }, work .. '/fine-notes.txt')
  start()
  keys(':cd ' .. work .. '<CR>:OrgAgentChat<CR>')
  await('the skills', function() return lua([[
    vim.api.nvim_win_set_cursor(0, { vim.api.nvim_buf_line_count(0), 0 })
    return #M.complete(0, '/') > 0
  ]]) end)
  local skill = lua([[return M.complete(0, '/')[1].word]])
  keys('GA' .. skill:sub(1, 2) .. '<C-x><C-u>')
  await_text('\n/')
  await('the menu, or the only one', function() return lua('return vim.fn.pumvisible()') == 1 or has(buffer(), skill) end)
  keys('<C-e><Esc>ccRead @fine<C-x><C-u>')
  await_text('Read @fine-notes.txt')
  keys(' and tell.<Esc>:OrgAgentSend<CR>')
  await_text('I read it.')
  await_calm()
end

function scenarios.doctor()
  start()
  keys(':OrgAgentDoctor<CR>')
  await('the page', function() return has(messages(), 'the chat can') and #buffer() > 20 end)
  start({ cmd = { work .. '/not-there', 'serve' } })
  keys(':OrgAgentChat<CR>GAHello<Esc>:OrgAgentSend<CR>')
  await('the error', function() return has(messages(), 'there is no program') end)
  check(has(messages(), 'your text is still there') and has(buffer(), 'Hello'), 'the text is kept')
end

local name = vim.env.SCENARIO
local ok, why = pcall(scenarios[name])
tell(ok and 'PASS' or 'FAIL', name, ok and '' or tostring(why))
vim.cmd('qa!')
