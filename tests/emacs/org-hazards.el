;;; org-hazards.el --- what a real Org does with a text  -*- lexical-binding: t -*-

;; Run as: emacs -Q --batch -l org-hazards.el -f oa-main CASES RESULTS
;; CASES is a JSON list of {"name", "text", "full"}; RESULTS becomes a JSON list of
;; {"name", "fired", "prompts", "found", "headings"}.
;;
;; Every prompt is answered with no.  Nothing here judges: the caller does.  Beside the text's file stand
;; secret.txt, which must not get into an export, and setup.org, which runs something.

;;; Code:

(require 'org)
(require 'org-agenda)
(require 'ox-html)
(require 'ox-ascii)
(require 'ox-latex)
(require 'ox-md)
(require 'ob-tangle)
(require 'org-clock)
(require 'org-colview)
(require 'ob-shell)
(require 'json)
(require 'server)

(defvar oa-stage nil "What is being done to the text.")
(defvar oa-fired nil "Stages in which something of the text was run.")
(defvar oa-prompts nil "Stages in which something asked.")

(defun oa-sentinel (&rest _)
  "What the texts try to run."
  (push oa-stage oa-fired)
  "sentinel")
(put 'oa-sentinel 'risky-local-variable nil)

(defun oa-evil-mode (&rest _)
  "A function whose name looks like a mode's."
  (interactive)
  (oa-sentinel))

(defun oa-no (prompt &rest _)
  "Answer PROMPT with no."
  (push (format "%s: %s" oa-stage prompt) oa-prompts)
  nil)

(dolist (f '(yes-or-no-p y-or-n-p map-y-or-n-p))
  (advice-add f :override #'oa-no))
(advice-add 'hack-local-variables-confirm :override
            (lambda (&rest _) (oa-no "local variables")))
(dolist (f '(read-string read-from-minibuffer completing-read read-file-name read-char
             read-char-exclusive read-char-choice read-event read-key))
  (advice-add f :override
              (lambda (&optional prompt &rest _)
                (oa-no (format "%s %S" f prompt))
                (signal 'quit nil))))
(dolist (f '(shell-command call-process-shell-command start-process org-babel-eval
             server-start url-retrieve-synchronously url-retrieve browse-url server-mode))
  (advice-add f :override
              (lambda (&rest _)
                ;; Following a link to the web is what the user asked for.
                (unless (and (eq f 'browse-url) (equal oa-stage "open"))
                  (push (format "%s %s" oa-stage f) oa-fired))
                nil)))

(defun oa-remote (operation &rest args)
  "Note that OPERATION on ARGS would go to another machine.
Do it on the name alone if it only concerns names."
  (if (memq operation '(expand-file-name file-name-directory file-name-nondirectory file-remote-p
                        directory-file-name file-name-as-directory substitute-in-file-name
                        abbreviate-file-name unhandled-file-name-directory file-name-case-insensitive-p))
      (let ((inhibit-file-name-handlers (list #'oa-remote)) (inhibit-file-name-operation operation)
            file-name-handler-alist)
        (apply operation args))
    (push (format "%s remote" oa-stage) oa-fired)
    (signal 'quit nil)))
(setq file-name-handler-alist (list (cons "\\`/[^/:]+:" #'oa-remote)))

;; A mode that only a file's name chooses.
(add-to-list 'auto-mode-alist '("\\.oa-evil\\'" . oa-evil-mode))

(setq org-confirm-babel-evaluate t
      org-src-fontify-natively t
      org-agenda-span 1
      org-agenda-start-day "2024-01-01"
      org-agenda-include-diary nil
      org-agenda-sticky nil
      org-export-with-broken-links t
      org-html-validation-link nil
      make-backup-files nil
      create-lockfiles nil
      enable-local-variables t
      inhibit-message t)
(org-babel-do-load-languages 'org-babel-load-languages '((emacs-lisp . t) (shell . t)))

(defmacro oa-do (stage &rest body)
  "Do BODY as STAGE; an error there is not ours to report."
  (declare (indent 1))
  `(let ((oa-stage ,stage))
     (condition-case nil (progn ,@body) ((error quit) nil))))

(defmacro oa-in (buffer stage &rest body)
  "In BUFFER, do BODY as STAGE."
  (declare (indent 2))
  `(with-current-buffer ,buffer (oa-do ,stage ,@body)))

(defun oa-plain (element)
  "What ELEMENT is, as a word or two."
  (let ((type (org-element-type element)))
    (pcase type
      ('link (format "link %s" (org-element-property :type element)))
      ('keyword (format "keyword %s" (org-element-property :key element)))
      ('src-block (format "src-block %s%s%s" (org-element-property :language element)
                          (if (org-element-property :parameters element) " parameters" "")
                          (if (org-element-property :switches element) " switches" "")))
      ('timestamp (format "timestamp %s" (org-element-property :type element)))
      ('table (if (org-element-property :tblfm element) "table formula" "table"))
      ((or 'latex-fragment 'latex-environment)
       (format "latex %s" (org-element-property :value element)))
      (_ (symbol-name type)))))

(defun oa-found ()
  "All elements and objects of the buffer, as words, each once."
  (let (found)
    (org-element-map (org-element-parse-buffer) (append org-element-all-elements org-element-all-objects)
      (lambda (element)
        (dolist (key (list :header :results :plot :name))
          (when (and (memq (org-element-type element) org-element-all-elements)
                     (org-element-property key element))
            (push (format "affiliated %s" key) found)))
        (push (oa-plain element) found))
      nil nil nil t)
    (delete-dups found)))

(defun oa-headings ()
  "The levels of the buffer's headings."
  (let (levels)
    (org-element-map (org-element-parse-buffer 'headline) 'headline
      (lambda (h) (push (org-element-property :level h) levels)))
    (nreverse levels)))

(defun oa-fontify ()
  "Fontify all of the buffer, as on display."
  (font-lock-set-defaults)
  (font-lock-fontify-region (point-min) (point-max)))

(defun oa-each-line (f)
  "Call F at the beginning of each line; F may rewrite them."
  (dotimes (n (count-lines (point-min) (point-max)))
    (goto-char (point-min))
    (forward-line n)
    (condition-case nil (funcall f) ((error quit) nil))))

(defun oa-open-everywhere (file)
  "Follow whatever is at each mark and word of FILE's buffer.
As `C-c C-o' does."
  (let ((buffer (current-buffer)) (org-agenda-files (list file)) places)
    (goto-char (point-min))
    (while (re-search-forward "[[:alnum:]]+\\|[^[:alnum:] \t\n]" nil t)
      (push (match-beginning 0) places))
    (dolist (place (nreverse places))
      (with-current-buffer buffer
        (widen)
        (goto-char place)
        (save-window-excursion
          (condition-case nil (org-open-at-point) ((error quit) nil)))))))

(defun oa-table-fields ()
  "Go through the fields of the table at point, as TAB does."
  (when (org-at-table-p)
    (forward-char 1)
    (dotimes (_ 4) (ignore-errors (org-table-next-field)))))

(defun oa-case (case file)
  "Do everything to CASE in FILE; return what came of it."
  (let* ((text (alist-get 'text case))
         (oa-fired nil) (oa-prompts nil) found headings)
    (let ((coding-system-for-write 'utf-8-unix)) (write-region text nil file nil 'quiet))
    (let ((buffer (oa-do "visit" (find-file-noselect file))))
      (oa-in buffer "locals" (hack-local-variables))
      (oa-in buffer "mode"
        (org-mode)
        (when (bound-and-true-p read-symbol-shorthands) (push "shorthands" oa-fired)))
      (with-current-buffer buffer (setq found (oa-found) headings (oa-headings)))
      (oa-in buffer "fontify" (oa-fontify))
      (oa-in buffer "html"
        (let ((html (org-export-as 'html)))
          (when (string-match-p "oa-secret" html) (push "include" oa-fired))
          (when (string-match-p "<oa-raw\\|<[^<>]*\"[^<>\"]*onoa=\"\\|=\"javascript:" html) (push "raw html" oa-fired))))
      (when (eq t (alist-get 'full case))
        (let ((org-agenda-files (list file)))
          (oa-in buffer "ascii" (org-export-as 'ascii))
          (oa-in buffer "latex" (org-export-as 'latex))
          (oa-in buffer "markdown" (org-export-as 'md))
          (oa-in buffer "tangle"
            (when (org-babel-tangle) (push "tangle" oa-fired)))
          (oa-in buffer "open" (oa-open-everywhere file))
          (oa-in buffer "columns" (goto-char (point-min)) (org-columns) (org-columns-quit))
          (oa-in buffer "recalculate" (org-table-recalculate-buffer-tables))
          (oa-in buffer "clock"
            (when (org-find-open-clocks file) (push "open clock" oa-fired)))
          (oa-in buffer "agenda" (org-agenda-list))
          (oa-in buffer "month" (org-agenda-list nil nil 'month))
          (oa-in buffer "fields" (oa-each-line #'oa-table-fields))
          (oa-in buffer "ctrl-c" (oa-each-line #'org-ctrl-c-ctrl-c))
          (oa-in buffer "revisit" (set-buffer-modified-p nil) (revert-buffer t t))))
      (with-current-buffer buffer (set-buffer-modified-p nil))
      (kill-buffer buffer))
    `((name . ,(alist-get 'name case))
      (fired . ,(vconcat (delete-dups oa-fired)))
      (prompts . ,(vconcat (delete-dups oa-prompts)))
      (found . ,(vconcat found))
      (headings . ,(vconcat headings)))))

(defun oa-main ()
  "Run the cases of the first file named, and write the results to the second."
  (let* ((in (pop command-line-args-left))
         (out (pop command-line-args-left))
         (dir (make-temp-file "oa-hazards" t))
         (default-directory (file-name-as-directory dir))
         (file (expand-file-name "case.org" dir))
         (json-object-type 'alist) (json-array-type 'list))
    (write-region "oa-secret\n" nil (expand-file-name "secret.txt" dir) nil 'quiet)
    (write-region "#+PROPERTY: header-args :var x=(oa-sentinel)\n" nil
                  (expand-file-name "setup.org" dir) nil 'quiet)
    (let ((results (mapcar (lambda (case) (oa-case case file)) (json-read-file in)))
          (coding-system-for-write 'utf-8-unix))
      (delete-directory dir t)
      (write-region (json-encode (vconcat results)) nil out nil 'quiet))))

;;; org-hazards.el ends here
