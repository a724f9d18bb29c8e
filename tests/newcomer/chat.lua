-- What a newcomer types in a Neovim that has examples/neovim/org-agent.lua: a chat, a message, and send.
--
--     nvim --headless -c 'luafile tests/newcomer/chat.lua'
--
-- Prints the chat when the answer is there, and leaves; after two minutes it gives up, with status 1.

local function keys(typed)
  vim.api.nvim_feedkeys(vim.api.nvim_replace_termcodes(typed, true, false, true), 'x', false)
end

local function chat()
  return table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, true), '\n')
end

vim.cmd('OrgAgentChat')
keys('GAhaiku winter<Esc>')
vim.cmd('OrgAgentSend')

-- Under the answer there is the heading of the next message.
local answered = vim.wait(120000, function() return chat():match('%* USER.*%*%* ASSISTANT.*%* USER') end, 20)
io.stdout:write(chat() .. '\n')
vim.cmd(answered and 'qall!' or 'cquit')
