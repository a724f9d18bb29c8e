-- Neovim as a plain LSP client, with no plugin. A test steers it over a socket: a JSON object a line, an answer for each.
-- The client is the built-in one with its own handlers; only what a user sees and answers (`vim.ui.select`,
-- `inputlist`) is stood in for. Runs in 0.7 and in 0.11.

local new = vim.fn.has('nvim-0.11') == 1
local uv = vim.loop
local program, port = vim.env.ORG_AGENT_PROGRAM, tonumber(vim.env.ORG_AGENT_DRIVER)

-- What the user is asked, and how they answer.
local answer, questions = nil, {}
-- The list that is open, and what was picked from it last.
local wanted, offered = nil, nil
local progress = {}

local function index_of(list, one)
  for at, other in ipairs(list) do
    if other == one then return at end
  end
end

vim.ui.select = function(items, options, choose)
  local titles = vim.tbl_map(options.format_item or tostring, items)
  local asked = options.kind == 'lsp_message'
  if asked then
    table.insert(questions, { message = options.prompt, titles = titles })
  else
    offered = titles
  end
  local at = index_of(titles, asked and answer or wanted)
  choose(at and items[at] or nil, at)
end

vim.fn.inputlist = function(lines)
  local message = table.remove(lines, 1)
  table.remove(lines, 1)
  local titles = vim.tbl_map(function(line) return (line:gsub('^%d+%. ', '')) end, lines)
  table.insert(questions, { message = message, titles = titles })
  return index_of(titles, answer) or 0
end

local notify = vim.notify
vim.notify = function(message, ...)
  if message == 'No code actions available' then offered = {} end
  notify(message, ...)
end

local id
local function client() return vim.lsp.get_client_by_id(id) end

local function note_progress()
  local text
  if new then
    text = vim.lsp.status()
  else
    text = table.concat(vim.tbl_map(function(one)
      return table.concat({ one.title or '', one.message or '' }, ' ')
    end, vim.lsp.util.get_progress_messages()), ' ')
  end
  if text ~= '' then table.insert(progress, text) end
end
vim.api.nvim_create_autocmd(new and 'LspProgress' or 'User',
  { pattern = new and '*' or 'LspProgressUpdate', callback = note_progress })

local function lines() return vim.api.nvim_buf_get_lines(0, 0, -1, true) end

-- Line (from 1) and byte (from 0) of the last place that has this text.
local function find(needle)
  local all = lines()
  for at = #all, 1, -1 do
    local from, to = all[at]:find(needle, 1, true)
    if from then return at, from - 1, to end
  end
  error('no such text: ' .. needle)
end

local function wait(what, ready)
  if not vim.wait(20000, ready, 10) then error('waited too long for ' .. what) end
end

-- What the menu of code actions has, here or for a range; picks one.
local function code_actions(title, range)
  wanted, offered = title, nil
  if new then
    vim.lsp.buf.code_action(range and { range = { start = range[1], ['end'] = range[2] } } or nil)
  elseif range then
    vim.lsp.buf.range_code_action(nil, range[1], range[2])
  else
    vim.lsp.buf.code_action()
  end
  wait('code actions', function() return offered ~= nil end)
  if title and not index_of(offered, title) then error('offered: ' .. table.concat(offered, ', ')) end
  return offered
end

-- What is answered when `ready` yields something, or fails; until then Neovim does what it does.
local function later(ready) return { later = ready } end

local operations = {}

function operations.open(name)
  vim.cmd('edit ' .. vim.fn.fnameescape(name))
  local config = { name = 'org-agent', cmd = { program, 'serve' }, root_dir = vim.fn.getcwd() }
  if new then
    id = vim.lsp.start(config)
  else
    id = vim.lsp.start_client(config)
    vim.lsp.buf_attach_client(0, id)
  end
  wait('the server', function() return client() and client().initialized end)
  return client().name
end

function operations.text() return table.concat(lines(), '\n') .. '\n' end

function operations.go(needle)
  local line, byte = find(needle)
  vim.api.nvim_win_set_cursor(0, { line, byte })
  return true
end

function operations.type(text)
  local all = lines()
  vim.api.nvim_buf_set_text(0, #all - 1, #all[#all], #all - 1, #all[#all], vim.split(text, '\n', { plain = true }))
  vim.api.nvim_win_set_cursor(0, { vim.api.nvim_buf_line_count(0), 0 })
  return true
end

function operations.actions() return code_actions(nil) end

function operations.act(title)
  code_actions(title)
  return true
end

function operations.act_on(arguments)
  local line, from, to = find(arguments[1])
  vim.api.nvim_win_set_cursor(0, { line, from })
  code_actions(arguments[2], { { line, from }, { line, to - 1 } })
  return true
end

function operations.lens(title)
  local at
  wait('a code lens ' .. title, function()
    vim.lsp.codelens.refresh()
    for _, lens in ipairs(vim.lsp.codelens.get(0)) do
      if lens.command and lens.command.title == title then at = lens.range.start.line + 1 end
    end
    return at ~= nil
  end)
  vim.api.nvim_win_set_cursor(0, { at, 0 })
  wanted = title
  vim.lsp.codelens.run()
  return true
end

function operations.execute(arguments)
  local command = { title = '', command = arguments[1] }
  if arguments[2] ~= vim.NIL then command.arguments = arguments[2] end
  if new then client():exec_cmd(command) else vim.lsp.buf.execute_command(command) end
  return true
end

function operations.answer(title)
  answer = title ~= vim.NIL and title or nil
  return true
end

function operations.leaves_unanswered() return false end

function operations.questions() return questions end

function operations.progress() return progress end

-- There is no key for it, but a function of the client.
function operations.cancel_progress()
  local token
  wait('something in progress', function()
    if new then
      token = next(client().progress.pending)
    else
      for key, one in pairs(client().messages.progress) do
        if not one.done then token = key end
      end
    end
    return token ~= nil
  end)
  if new then
    client():notify('window/workDoneProgress/cancel', { token = token })
  else
    client().notify('window/workDoneProgress/cancel', { token = token })
  end
  return true
end

-- Types in insert mode, as a user does, and asks for completions with the key for it; takes the first that has `part`.
-- Keys are taken only while nothing waits.
function operations.complete(arguments)
  local typed, part = arguments[1], arguments[2]
  vim.cmd('normal! G$')
  vim.bo.omnifunc = 'v:lua.vim.lsp.omnifunc'
  vim.o.completeopt = 'menuone,noinsert'
  vim.api.nvim_input('A' .. typed .. '<C-x><C-o>')
  local labels
  return later(function()
    if labels then return vim.api.nvim_get_mode().mode == 'n' and labels or nil end
    local found = vim.fn.complete_info({ 'items' }).items
    if #found == 0 then return nil end
    labels = vim.tbl_map(function(item) return item.abbr ~= '' and item.abbr or item.word end, found)
    for at, label in ipairs(labels) do
      if label:find(part, 1, true) then
        vim.api.nvim_input(('<C-n>'):rep(at - 1) .. '<C-y><Esc>')
        return nil
      end
    end
    error('completions: ' .. table.concat(labels, ', '))
  end)
end

function operations.diagnostics()
  return vim.tbl_map(function(one) return one.message end, vim.diagnostic.get(0))
end

-- A buffer that may not be changed refuses every edit.
function operations.refuse(refuses)
  vim.bo.modifiable = not refuses
  return true
end

local socket = uv.new_tcp()
local function serve(line)
  local message = vim.fn.json_decode(line)
  local name, argument = message[1], message[2]
  if name == 'quit' then
    socket:write('{"ok":true}\n')
    vim.schedule(function() vim.cmd('qall!') end)
    return
  end
  local started = uv.now()
  local function answer_with(fine, result)
    if fine and type(result) == 'table' and result.later then
      local ready = result.later
      local function look()
        local went, value = pcall(ready)
        if went and value == nil and uv.now() - started > 20000 then went, value = false, 'waited too long' end
        if went and value == nil then vim.defer_fn(look, 20) else answer_with(went, value) end
      end
      return look()
    end
    local reply = fine and { ok = result } or { error = tostring(result) }
    if fine and type(result) == 'table' and vim.tbl_isempty(result) then
      socket:write('{"ok":[]}\n')
    else
      socket:write(vim.fn.json_encode(reply) .. '\n')
    end
  end
  answer_with(pcall(operations[name], argument))
end

local unread = ''
socket:connect('127.0.0.1', port, function(failed)
  assert(not failed, failed)
  socket:read_start(function(_, bytes)
    unread = unread .. (bytes or '')
    while unread:find('\n', 1, true) do
      local line, rest = unread:match('^(.-)\n(.*)$')
      unread = rest
      vim.schedule(function() serve(line) end)
    end
  end)
end)
