package serve

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/jialing-chain/jialing/internal/chain"
)

// frame is one HTTP body or WebSocket message, taken apart just enough to bound it and to route it. Whether it is valid JSON is not
// decided here: go-ethereum's rpc checks that before it acts on anything. All slices point into the message.
type frame struct {
	batch bool
	items []item
	// tooMany is set when a batch holds more items than asked for; items then holds the first ones.
	tooMany bool
}

// item is one JSON-RPC message of a frame.
type item struct {
	raw    []byte
	id     []byte
	method []byte // without quotes; nil when absent, no string or escaped
	// doubt is set when go-ethereum's parser might read another method than this one does: see called.
	doubt bool
}

// scanFrame takes b apart, up to maxItems. It works in one pass and never fails: what is no JSON-RPC gives items without a method.
func scanFrame(b []byte, maxItems int) (f frame) {
	s := scanner{b: b}
	s.space()
	if s.peek() != '[' {
		f.items = append(f.items, scanItem(bytes.TrimSpace(b)))
		return f
	}
	f.batch = true
	s.i++
	for {
		s.space()
		if s.end() || s.peek() == ']' {
			return f
		}
		if len(f.items) == maxItems {
			f.tooMany = true
			return f
		}
		start := s.i
		s.value()
		if s.i == start {
			return f // no progress: not JSON
		}
		f.items = append(f.items, scanItem(s.b[start:s.i]))
		s.space()
		if s.peek() == ',' {
			s.i++
		}
	}
}

func scanItem(raw []byte) item {
	it := item{raw: raw, doubt: true}
	s := scanner{b: raw}
	if s.peek() != '{' {
		return it
	}
	s.i++
	seen, plain := 0, true
	for {
		s.space()
		key, ok := s.text()
		if !ok {
			return it
		}
		s.space()
		if s.peek() != ':' {
			return it
		}
		s.i++
		s.space()
		start := s.i
		s.value()
		value := s.b[start:s.i]
		bit := 0
		switch string(key) {
		case "id":
			bit, it.id = 1, value
		case "method":
			bit, it.method = 2, nil
			if n := len(value); n >= 2 && value[0] == '"' && bytes.IndexByte(value, '\\') < 0 {
				it.method = value[1 : n-1]
			}
			plain = plain && it.method != nil
		case "params":
			bit = 4
		case "jsonrpc":
			bit = 8
		}
		plain = plain && bit != 0 && seen&bit == 0
		seen |= bit
		s.space()
		if s.peek() != ',' {
			it.doubt = !plain || s.peek() != '}'
			return it
		}
		s.i++
	}
}

// called is the method that go-ethereum's rpc will run. Where the scan is in doubt (a key twice, in another case or with escapes), the parser that rpc uses is
// asked: who may call is decided by the name that is called, not by one that is shown.
func (it *item) called() string {
	if !it.doubt {
		return string(it.method)
	}
	var m struct {
		Method string `json:"method"`
	}
	_ = json.Unmarshal(it.raw, &m) // as rpc does it: what could be read counts
	return m.Method
}

// isPubSub tells whether it subscribes or unsubscribes.
func (it *item) isPubSub() bool {
	return bytes.HasSuffix(it.method, []byte("_subscribe")) || bytes.HasSuffix(it.method, []byte("_unsubscribe"))
}

// validID tells whether a response can echo the id: a string, a number or null.
func (it *item) validID() bool {
	return len(it.id) > 0 && it.id[0] != '{' && it.id[0] != '['
}

// sends is a frame that holds nothing but eth_sendRawTransaction calls.
type sends struct {
	batch bool
	ids   [][]byte // into the frame
	raws  [][]byte // own memory: the pool keeps them
}

// scanSends recognises a frame of eth_sendRawTransaction calls in their usual form and decodes it. ok is false for everything else, also
// for every doubt (an unknown key, an escape, bad hex): such a frame goes the ordinary way, which knows the right error.
func scanSends(b []byte, maxItems int) (f sends, ok bool) {
	s := scanner{b: b}
	s.space()
	if s.peek() == '{' {
		ok = s.send(&f)
		s.space()
		return f, ok && s.end()
	}
	if !s.take('[') {
		return f, false
	}
	f.batch = true
	for {
		s.space()
		if len(f.ids) == maxItems || !s.send(&f) {
			return f, false
		}
		s.space()
		switch {
		case s.take(','):
		case s.take(']'):
			s.space()
			return f, s.end()
		default:
			return f, false
		}
	}
}

// scanner walks over JSON. It never moves past its end.
type scanner struct {
	b []byte
	i int
}

func (s *scanner) end() bool { return s.i >= len(s.b) }

func (s *scanner) peek() byte {
	if s.end() {
		return 0
	}
	return s.b[s.i]
}

func (s *scanner) take(c byte) bool {
	if s.peek() != c || s.end() {
		return false
	}
	s.i++
	return true
}

func (s *scanner) space() {
	for !s.end() {
		switch s.b[s.i] {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return
		}
	}
}

// text takes a string and returns what stands between its quotes; ok is false when there is none.
func (s *scanner) text() (text []byte, ok bool) {
	if s.peek() != '"' {
		return nil, false
	}
	start := s.i + 1
	for i := start; ; {
		n := bytes.IndexByte(s.b[i:], '"')
		if n < 0 {
			s.i = len(s.b)
			return nil, false
		}
		i += n
		escapes := 0
		for j := i - 1; j >= start && s.b[j] == '\\'; j-- {
			escapes++
		}
		i++
		if escapes%2 == 0 {
			s.i = i
			return s.b[start : i-1], true
		}
	}
}

// value skips one value. Brackets only need to balance; whether they match is for the real parser to say.
func (s *scanner) value() {
	depth := 0
	for !s.end() {
		switch s.b[s.i] {
		case '"':
			s.text()
			if depth == 0 {
				return
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return
			}
			if depth--; depth == 0 {
				s.i++
				return
			}
		case ',', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return
			}
		}
		s.i++
	}
}

// send takes one {"jsonrpc":"2.0","id":…,"method":"eth_sendRawTransaction","params":["0x…"]}, keys in any order, each once.
func (s *scanner) send(f *sends) bool {
	const version, id, method, params, all = 1, 2, 4, 8, 15
	if !s.take('{') {
		return false
	}
	seen := 0
	for {
		s.space()
		key, ok := s.text()
		if !ok {
			return false
		}
		s.space()
		if !s.take(':') {
			return false
		}
		s.space()
		bit := 0
		switch string(key) {
		case "jsonrpc":
			bit, ok = version, s.is("2.0")
		case "method":
			bit, ok = method, s.is("eth_sendRawTransaction")
		case "id":
			bit, ok = id, s.id(f)
		case "params":
			bit, ok = params, s.raw(f)
		}
		if bit == 0 || seen&bit != 0 || !ok {
			return false
		}
		seen |= bit
		s.space()
		switch {
		case s.take(','):
		case s.take('}'):
			return seen == all
		default:
			return false
		}
	}
}

func (s *scanner) is(want string) bool {
	text, ok := s.text()
	return ok && string(text) == want
}

// id takes a plain number or a string of printable ASCII without escapes.
func (s *scanner) id(f *sends) bool {
	start := s.i
	if s.peek() == '"' {
		text, ok := s.text()
		if !ok {
			return false
		}
		for _, c := range text {
			if c < ' ' || c > '~' || c == '\\' {
				return false
			}
		}
	} else {
		for c := s.peek(); c >= '0' && c <= '9'; c = s.peek() {
			s.i++
		}
		if n := s.i - start; n == 0 || (n > 1 && s.b[start] == '0') {
			return false
		}
	}
	f.ids = append(f.ids, s.b[start:s.i])
	return true
}

// raw takes ["0x…"] and decodes it.
func (s *scanner) raw(f *sends) bool {
	if !s.take('[') {
		return false
	}
	s.space()
	text, ok := s.text()
	// Twice the largest transaction is left to the ordinary way, which refuses it without a copy.
	if !ok || len(text) < 4 || len(text) > 2+4*chain.MaxTxSize || text[0] != '0' || text[1] != 'x' {
		return false
	}
	s.space()
	if !s.take(']') {
		return false
	}
	raw := make([]byte, hex.DecodedLen(len(text)-2))
	if _, err := hex.Decode(raw, text[2:]); err != nil {
		return false
	}
	f.raws = append(f.raws, raw)
	return true
}

// methodLabel is the metrics' label of a method: its name when it is served, else "unknown", so that clients cannot make up labels.
func methodLabel(known map[string]bool, method []byte) string {
	if known[string(method)] {
		return string(method)
	}
	if strings.HasSuffix(string(method), "_subscribe") || strings.HasSuffix(string(method), "_unsubscribe") {
		return "pubsub"
	}
	return "unknown"
}
