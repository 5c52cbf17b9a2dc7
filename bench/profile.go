package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/google/pprof/profile"
)

// profileSeconds is the length of one profile; a phase's is merged from as many as fit. The last one reaches beyond the phase's end, when the
// node has next to nothing to do.
const profileSeconds = 3

// profileNode profiles a node's CPU until ctx ends and returns everything merged.
func profileNode(ctx context.Context, url string) (*profile.Profile, error) {
	var all []*profile.Profile
	for ctx.Err() == nil {
		// Not ctx: a profile that is cut off is none.
		response, err := http.Get(fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", url, profileSeconds))
		if err != nil {
			return nil, fmt.Errorf("profile the node: %w", err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err == nil && response.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s: %s", response.Status, body)
		}
		if err != nil {
			return nil, fmt.Errorf("profile the node: %w", err)
		}
		p, err := profile.ParseData(body)
		if err != nil {
			return nil, fmt.Errorf("profile the node: %w", err)
		}
		all = append(all, p)
	}
	return profile.Merge(all)
}

// shares splits a CPU profile's time by where it was spent; they add up to 1.
func shares(p *profile.Profile) (map[string]float64, error) {
	at := -1
	for i, t := range p.SampleType {
		if t.Type == "cpu" {
			at = i
		}
	}
	if at < 0 {
		return nil, fmt.Errorf("the profile has no CPU time")
	}
	out := make(map[string]float64)
	var total float64
	for _, s := range p.Sample {
		v := float64(s.Value[at])
		out[place(functions(s))] += v
		total += v
	}
	for k := range out {
		out[k] /= total
	}
	return out, nil
}

// functions names a sample's frames, the innermost first.
func functions(s *profile.Sample) (names []string) {
	for _, l := range s.Location {
		for _, line := range l.Line {
			if line.Function != nil {
				names = append(names, line.Function.Name)
			}
		}
	}
	return names
}

const internal = "github.com/jialing-chain/jialing/internal/"

// anywhere are frames that decide by themselves, wherever in the stack they are. Order counts.
var anywhere = []struct{ part, place string }{
	{"runtime.gcBgMarkWorker", "garbage collection"},
	{"runtime.gcAssistAlloc", "garbage collection"},
	{"runtime.bgsweep", "garbage collection"},
	{"runtime.bgscavenge", "garbage collection"},
	{"crypto/secp256k1.RecoverPubkey", "signature recovery"},
	{"ecdsa.RecoverCompact", "signature recovery"},
	{"internal/chain.(*Verifier).verifySM2", "SM2 verification"},
	{"pebble/v2.(*DB).compact", "pebble compaction, flush"},
	{"pebble/v2.(*DB).flush", "pebble compaction, flush"},
	{"pebble/v2.(*DB).runCompaction", "pebble compaction, flush"},
}

// outside are packages that count for themselves where no stage called them.
var outside = []struct{ part, place string }{
	{"cockroachdb/pebble", "pebble, other"},
	{"gorilla/websocket", "network"},
	{"net/http", "network"},
	{"net.", "network"},
	{"internal/poll.", "network"},
	{"runtime.", "runtime"},
}

// place is where a stack's time counts: the innermost frame of a stage, whose calls into geth, Pebble or the runtime are its own doing.
func place(functions []string) string {
	for _, a := range anywhere {
		for _, f := range functions {
			if strings.Contains(f, a.part) {
				return a.place
			}
		}
	}
	for _, f := range functions {
		rest, ours := strings.CutPrefix(f, internal)
		if !ours {
			continue
		}
		// The package path ends at the first dot behind its last slash; chain and crypto work for the stage that calls them.
		pkg, _, _ := strings.Cut(rest, ".")
		switch stage, child, _ := strings.Cut(pkg, "/"); {
		case stage == "chain" || stage == "crypto":
		case child == "mpt":
			return "store/mpt"
		case stage == "store" && slices.ContainsFunc(functions, func(f string) bool { return strings.HasPrefix(f, internal+"store.(*view)") }):
			return "store, state reads"
		default:
			return stage
		}
	}
	for _, o := range outside {
		for _, f := range functions {
			if strings.HasPrefix(f, o.part) || strings.Contains(f, "/"+o.part) {
				return o.place
			}
		}
	}
	return "other"
}
