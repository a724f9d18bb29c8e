;;; org-agent-tests.el --- All tests of the Emacs client  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; emacs -Q --batch -L emacs -L tests/emacs -l org-agent-tests \
;;   -f ert-run-tests-batch-and-exit

;;; Code:

(require 'org-agent-text-tests)
(require 'org-agent-turn-tests)
(require 'org-agent-server-tests)
(require 'org-agent-sessions-tests)
(require 'org-agent-shell-tests)
(require 'org-agent-approve-tests)
(require 'org-agent-elsewhere-tests)
(require 'org-agent-card-tests)
(require 'org-agent-drawer-tests)
(require 'org-agent-skills-tests)
(require 'org-agent-trust-tests)
(require 'org-agent-models-tests)
(require 'org-agent-thought-tests)
(require 'org-agent-secrets-tests)
(require 'org-agent-here-tests)
(require 'org-agent-moved-tests)
(require 'org-agent-places-tests)
(require 'org-agent-capture-tests)
(require 'org-agent-turns-tests)
(require 'org-agent-stream-tests)
(require 'org-agent-typing-tests)
(require 'org-agent-browser-tests)
(require 'org-agent-keeping-tests)
(require 'org-agent-browser-real-tests)
(require 'org-agent-rewrite-tests)
(require 'org-agent-context-tests)
(require 'org-agent-input-tests)
(require 'org-agent-complete-tests)
(require 'org-agent-menu-tests)
(require 'org-agent-state-tests)
(require 'org-agent-connection-tests)
(require 'org-agent-traffic-tests)
(require 'org-agent-conformance-tests)
(require 'org-agent-seams-tests)
(require 'org-agent-config-tests)
(require 'org-agent-fetch-tests)
(require 'org-agent-install-tests)
(require 'org-agent-installer-tests)
(require 'org-agent-manual-tests)
(require 'org-agent-package-tests)

(provide 'org-agent-tests)
;;; org-agent-tests.el ends here
