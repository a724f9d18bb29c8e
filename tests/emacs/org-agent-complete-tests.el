;;; Code:
(provide 'org-agent-complete-tests)
