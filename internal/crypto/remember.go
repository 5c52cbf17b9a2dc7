package crypto

import "sync"

// maxRemembered bounds the public keys that a remembering suite holds: twice the validators that a chain may have. Prepared keys of the suite gm have
// 52 KiB each, so it is 53 MiB at most, and for a network of ten validators half a MiB.
const maxRemembered = 1024

// prepareAfter is how often a key must have come before it is prepared. It is more than a stranger who connects and goes would come.
const prepareAfter = 32

// preparing is a PublicKey that becomes faster at a price in time and memory.
type preparing interface {
	PublicKey
	Prepare()
}

// remembering is a suite that parses a public key once.
type remembering struct {
	Suite
	mu sync.Mutex // guards all below
	// young and old are the keys by their bytes: when the young map is full it takes the place of the old one, whose keys are forgotten but for those
	// that came again since.
	young, old map[string]*rememberedKey
}

type rememberedKey struct {
	PublicKey
	comes int
}

// Remember returns suite with a memory of the public keys that it parsed: validators' keys come with each of their messages. Keys that come often and can
// be prepared for faster verification are. The keys that it gives are equal to suite's in all they do.
func Remember(suite Suite) Suite { return &remembering{Suite: suite} }

// ParsePublicKey gives the key that it remembers, or asks the suite.
func (s *remembering) ParsePublicKey(b []byte) (PublicKey, error) {
	key, prepare := s.find(string(b))
	if key == nil {
		var err error
		if key, err = s.Suite.ParsePublicKey(b); err != nil {
			return nil, err
		}
		s.add(string(b), key)
		return key, nil
	}
	if prepare {
		if key, ok := key.(preparing); ok {
			key.Prepare()
		}
	}
	return key, nil
}

func (s *remembering) find(b string) (key PublicKey, prepare bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.young[b]
	if k == nil {
		if k = s.old[b]; k == nil {
			return nil, false
		}
		s.put(b, k)
	}
	k.comes++
	return k.PublicKey, k.comes == prepareAfter
}

func (s *remembering) add(b string, key PublicKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(b, &rememberedKey{PublicKey: key})
}

func (s *remembering) put(b string, k *rememberedKey) {
	if s.young == nil || len(s.young) == maxRemembered/2 {
		s.young, s.old = make(map[string]*rememberedKey), s.young
	}
	s.young[b] = k
}
