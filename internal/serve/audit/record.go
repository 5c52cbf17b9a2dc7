package audit

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jialing-chain/jialing/internal/crypto"
)

// Bounds of a record, so that a line fits in maxLine. What is longer is cut and says so.
const (
	// MaxText bounds who, action and result.
	MaxText = 512
	// MaxParams is how much of the parameters is kept; their digest is of all.
	MaxParams = 2048
	// maxLine holds a record of the largest texts, where JSON writes six bytes for one.
	maxLine = 6*(3*MaxText+MaxParams) + 1024
)

// Entry is what somebody wants on record.
type Entry struct {
	// Who did it: "token NAME", "certificate ORGANISATION/NAME", "node", "command line".
	Who string
	// Action is a method or a word.
	Action string
	// Params are what it was done with; no secrets.
	Params []byte
	// Result is how it ended; Begun while it has not.
	Result string
	// Of is the record of the beginning, where this is the end; 0 else.
	Of uint64
}

// Results that are more than a sentence.
const (
	Begun = "begun"
	OK    = "ok"
)

// Record is one line.
type Record struct {
	Seq    uint64      `json:"seq"`
	Millis int64       `json:"time"` // Unix milliseconds of the node's clock
	Who    string      `json:"who"`
	Action string      `json:"action"`
	Params string      `json:"params,omitempty"`
	Digest crypto.Hash `json:"paramsDigest"`
	Result string      `json:"result"`
	Of     uint64      `json:"of,omitempty"`
	Prev   crypto.Hash `json:"prev"`
	Hash   crypto.Hash `json:"hash"`
}

// Time is when it was recorded.
func (r *Record) Time() time.Time { return time.UnixMilli(r.Millis) }

// newRecord follows prev. Texts that are too long are cut, and bytes that are no text replaced: JSON would else change them.
func newRecord(suite crypto.Suite, seq uint64, prev crypto.Hash, at time.Time, e Entry) Record {
	r := Record{Seq: seq, Millis: at.UnixMilli(), Who: bounded(e.Who, MaxText), Action: bounded(e.Action, MaxText), Params: bounded(string(e.Params), MaxParams),
		Digest: suite.Sum([]byte("jialing audit params 1"), e.Params), Result: bounded(e.Result, MaxText), Of: e.Of, Prev: prev}
	r.Hash = r.sum(suite)
	return r
}

const cut = "…"

func bounded(s string, most int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= most {
		return s
	}
	s = s[:most-len(cut)]
	for !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s + cut
}

// sum is the hash over the canonical bytes: a domain, then every field in order, numbers as 8 bytes, texts behind their length.
func (r *Record) sum(suite crypto.Suite) crypto.Hash {
	b := []byte("jialing audit record 1")
	b = binary.BigEndian.AppendUint64(b, r.Seq)
	b = binary.BigEndian.AppendUint64(b, uint64(r.Millis))
	for _, s := range []string{r.Who, r.Action, r.Params, r.Result} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	b = append(b, r.Digest[:]...)
	b = binary.BigEndian.AppendUint64(b, r.Of)
	return suite.Sum(b, r.Prev[:])
}

// encode is the record's line, with its end.
func (r *Record) encode() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil {
		return nil, fmt.Errorf("encode audit record: %w", err)
	}
	return b.Bytes(), nil
}

var (
	errForm = errors.New("it is no record in the form that this program writes")
	errHash = errors.New("its hash does not fit what it says: it was altered")
	errPrev = errors.New("it does not follow the record before it: something between them was altered, taken out or put in")
)

// decode reads a line without its end and checks all that the record says of itself. A line has one form, so that nothing can be hidden in it.
func decode(suite crypto.Suite, line []byte) (*Record, error) {
	r := new(Record)
	if json.Unmarshal(line, r) != nil {
		return nil, errForm
	}
	again, err := r.encode()
	if err != nil || !bytes.Equal(bytes.TrimSuffix(again, []byte("\n")), line) {
		return nil, errForm
	}
	if r.sum(suite) != r.Hash {
		return nil, errHash
	}
	return r, nil
}

// follows tells whether r is the next record after seq and hash.
func (r *Record) follows(seq uint64, hash crypto.Hash) error {
	if r.Seq != seq+1 || r.Prev != hash {
		return errPrev
	}
	return nil
}
