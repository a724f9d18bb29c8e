;; The functions of the skill language that call functions. No strings here: constants of this file belong to
;; no call. `%items` makes a list of any sequence, `%like` makes of a list what the first argument is.

(defun %cars (lists) (let ((out nil)) (dolist (l lists (nreverse out)) (push (car l) out))))
(defun %cdrs (lists) (let ((out nil)) (dolist (l lists (nreverse out)) (push (cdr l) out))))
(defun %ended (lists) (dolist (l lists nil) (if (endp l) (return t))))

(defun mapcar (f list &rest more)
  (let ((out nil))
    (if more
        (let ((lists (cons list more)))
          (%while (not (%ended lists))
            (push (apply f (%cars lists)) out)
            (setq lists (%cdrs lists))))
        (%while list
          (setq out (cons (funcall f (car list)) out))
          (setq list (cdr list))))
    (nreverse out)))

(defun mapc (f list &rest more)
  (let ((lists (cons list more)))
    (%while (not (%ended lists))
      (apply f (%cars lists))
      (setq lists (%cdrs lists)))
    list))

(defun mapcan (f list &rest more)
  (let ((out nil) (lists (cons list more)))
    (%while (not (%ended lists))
      (setq out (revappend (apply f (%cars lists)) out))
      (setq lists (%cdrs lists)))
    (nreverse out)))

(defun maplist (f list)
  (let ((out nil))
    (%while (consp list)
      (push (funcall f list) out)
      (setq list (cdr list)))
    (nreverse out)))

(defun map (type f seq &rest more)
  (let ((out (apply #'mapcar f (%items seq) (mapcar #'%items more))))
    (if type (coerce out type) nil)))

(defun reduce (f seq &key (initial-value nil given) from-end key start end)
  (let ((items (%items seq start end)))
    (if key (setq items (mapcar key items)))
    (if from-end (setq items (reverse items)))
    (if (not given)
        (if (null items)
            (return-from reduce (funcall f))
            (progn (setq initial-value (car items)) (setq items (cdr items)))))
    (%while items
      (setq initial-value
            (if from-end (funcall f (car items) initial-value) (funcall f initial-value (car items))))
      (setq items (cdr items)))
    initial-value))

(defun some (f seq &rest more)
  (let ((lists (cons (%items seq) (mapcar #'%items more))))
    (%while (not (%ended lists))
      (let ((found (apply f (%cars lists))))
        (if found (return-from some found)))
      (setq lists (%cdrs lists)))
    nil))

(defun every (f seq &rest more)
  (let ((lists (cons (%items seq) (mapcar #'%items more))))
    (%while (not (%ended lists))
      (if (not (apply f (%cars lists))) (return-from every nil))
      (setq lists (%cdrs lists)))
    t))

(defun notany (f seq &rest more) (not (apply #'some f seq more)))
(defun notevery (f seq &rest more) (not (apply #'every f seq more)))

(defun complement (f) (lambda (&rest args) (not (apply f args))))
(defun constantly (value) (lambda (&rest args) value))

;; Of an item, its test and a key, one predicate.
(defun %is (item test test-not key)
  (let ((test (or test test-not #'eql)) (no (and test-not t)))
    (if key
        (lambda (x) (if (funcall test item (funcall key x)) (not no) no))
        (if no
            (lambda (x) (not (funcall test item x)))
            (lambda (x) (funcall test item x))))))
(defun %if (f key) (if key (lambda (x) (funcall f (funcall key x))) f))
(defun %if-not (f key) (if key (lambda (x) (not (funcall f (funcall key x)))) (lambda (x) (not (funcall f x)))))

(defun %member (f list)
  (%while list
    (if (funcall f (car list)) (return-from %member list))
    (setq list (cdr list)))
  nil)
(defun member (item list &key test test-not key)
  (if (or test test-not key) (%member (%is item test test-not key) list) (%memql item list)))
(defun member-if (f list &key key) (%member (%if f key) list))
(defun member-if-not (f list &key key) (%member (%if-not f key) list))

(defun %assoc (f list)
  (%while list
    (if (and (car list) (funcall f (car (car list)))) (return-from %assoc (car list)))
    (setq list (cdr list)))
  nil)
(defun assoc (item list &key test test-not key) (%assoc (%is item test test-not key) list))
(defun assoc-if (f list &key key) (%assoc (%if f key) list))
(defun rassoc (item list &key test test-not key)
  (let ((f (%is item test test-not key)))
    (%while list
      (if (and (car list) (funcall f (cdr (car list)))) (return-from rassoc (car list)))
      (setq list (cdr list)))
    nil))

;; The position of the first or last match, and the element.
(defun %find (f seq start end from-end)
  (let ((items (%items seq start end)) (at (or start 0)) (found nil) (element nil))
    (%while items
      (if (funcall f (car items))
          (progn
            (setq found at)
            (setq element (car items))
            (if (not from-end) (return-from %find (values found element)))))
      (setq at (1+ at))
      (setq items (cdr items)))
    (values found element)))
(defun find (item seq &key test test-not key start end from-end)
  (nth-value 1 (%find (%is item test test-not key) seq start end from-end)))
(defun find-if (f seq &key key start end from-end) (nth-value 1 (%find (%if f key) seq start end from-end)))
(defun find-if-not (f seq &key key start end from-end)
  (nth-value 1 (%find (%if-not f key) seq start end from-end)))
(defun position (item seq &key test test-not key start end from-end)
  (values (if (or test test-not key)
              (%find (%is item test test-not key) seq start end from-end)
              (%position item seq start end from-end))))
(defun position-if (f seq &key key start end from-end) (values (%find (%if f key) seq start end from-end)))
(defun position-if-not (f seq &key key start end from-end)
  (values (%find (%if-not f key) seq start end from-end)))

(defun %count (f items)
  (let ((n 0))
    (%while items
      (if (funcall f (car items)) (setq n (1+ n)))
      (setq items (cdr items)))
    n))
(defun count (item seq &key test test-not key start end from-end)
  (%count (%is item test test-not key) (%items seq start end)))
(defun count-if (f seq &key key start end from-end) (%count (%if f key) (%items seq start end)))
(defun count-if-not (f seq &key key start end from-end) (%count (%if-not f key) (%items seq start end)))

(defun %remove (f seq start end from-end count)
  (if (or start end from-end count)
      (let* ((all (%items seq)) (size (length all)) (from (or start 0)) (to (or end size)) (at 0) (out nil))
        (if from-end (progn (setq all (reverse all)) (let ((f2 from)) (setq from (- size to)) (setq to (- size f2)))))
        (%while all
          (if (and (>= at from) (< at to) (or (null count) (> count 0)) (funcall f (car all)))
              (if count (setq count (1- count)))
              (push (car all) out))
          (setq at (1+ at))
          (setq all (cdr all)))
        (%like seq (if from-end out (nreverse out))))
      (let ((items (%items seq)) (out nil))
        (%while items
          (if (funcall f (car items)) nil (setq out (cons (car items) out)))
          (setq items (cdr items)))
        (%like seq (nreverse out)))))
(defun remove (item seq &key test test-not key start end from-end count)
  (%remove (%is item test test-not key) seq start end from-end count))
(defun remove-if (f seq &key key start end from-end count) (%remove (%if f key) seq start end from-end count))
(defun remove-if-not (f seq &key key start end from-end count)
  (%remove (%if-not f key) seq start end from-end count))
(defun delete (item seq &rest keys) (apply #'remove item seq keys))
(defun delete-if (f seq &rest keys) (apply #'remove-if f seq keys))
(defun delete-if-not (f seq &rest keys) (apply #'remove-if-not f seq keys))

(defun substitute (new old seq &key test test-not key)
  (let ((f (%is old test test-not key)))
    (%like seq (mapcar (lambda (x) (if (funcall f x) new x)) (%items seq)))))
(defun substitute-if (new f seq &key key)
  (let ((f (%if f key)))
    (%like seq (mapcar (lambda (x) (if (funcall f x) new x)) (%items seq)))))

(defun %in (item list test key)
  (%while list
    (if (funcall test item (if key (funcall key (car list)) (car list))) (return-from %in t))
    (setq list (cdr list)))
  nil)
(defun remove-duplicates (seq &key test key from-end)
  (let ((items (%items seq)) (out nil) (test (or test #'eql)))
    (if from-end
        (progn
          (%while items
            (let ((k (if key (funcall key (car items)) (car items))))
              (if (%in k out (lambda (a b) (funcall test b a)) key) nil (push (car items) out)))
            (setq items (cdr items)))
          (%like seq (nreverse out)))
        (progn
          (%while items
            (let ((k (if key (funcall key (car items)) (car items))))
              (if (%in k (cdr items) test key) nil (push (car items) out)))
            (setq items (cdr items)))
          (%like seq (nreverse out))))))
(defun delete-duplicates (seq &rest keys) (apply #'remove-duplicates seq keys))

(defun adjoin (item list &key test key)
  (if (%in (if key (funcall key item) item) list (or test #'eql) key) list (cons item list)))
(defun set-difference (a b &key test key)
  (let ((test (or test #'eql)))
    (remove-if (lambda (x) (%in (if key (funcall key x) x) b test key)) a)))
(defun intersection (a b &key test key)
  (let ((test (or test #'eql)))
    (remove-if-not (lambda (x) (%in (if key (funcall key x) x) b test key)) a)))
(defun union (a b &key test key)
  (append (set-difference a b :test test :key key) b))
(defun subsetp (a b &key test key)
  (let ((test (or test #'eql)))
    (every (lambda (x) (%in (if key (funcall key x) x) b test key)) a)))

(defun %merge (a b before key)
  (let ((out nil))
    (%while (and a b)
      (if (if key
              (funcall before (funcall key (car b)) (funcall key (car a)))
              (funcall before (car b) (car a)))
          (progn (setq out (cons (car b) out)) (setq b (cdr b)))
          (progn (setq out (cons (car a) out)) (setq a (cdr a)))))
    (revappend out (or a b))))
(defun stable-sort (seq before &key key)
  (let ((runs (mapcar #'list (%items seq))))
    (%while (cdr runs)
      (let ((next nil))
        (%while runs
          (setq next (cons (if (cdr runs) (%merge (car runs) (car (cdr runs)) before key) (car runs)) next))
          (setq runs (cdr (cdr runs))))
        (setq runs (nreverse next))))
    (%like seq (car runs))))
(defun sort (seq before &key key) (stable-sort seq before :key key))
