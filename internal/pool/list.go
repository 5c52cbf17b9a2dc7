package pool

// list is a doubly linked list of accounts through one of their links.
type list struct {
	first, last *account
	of          func(*account) *links
}

func (l *list) push(a *account) {
	n := l.of(a)
	n.prev, n.next, n.in = l.last, nil, true
	if l.last == nil {
		l.first = a
	} else {
		l.of(l.last).next = a
	}
	l.last = a
}

// remove does nothing when a is in no list through these links.
func (l *list) remove(a *account) {
	n := l.of(a)
	if !n.in {
		return
	}
	if n.prev == nil {
		l.first = n.next
	} else {
		l.of(n.prev).next = n.next
	}
	if n.next == nil {
		l.last = n.prev
	} else {
		l.of(n.next).prev = n.prev
	}
	*n = links{}
}
