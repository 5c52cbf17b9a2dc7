package serve

import (
	"net"
	"net/http"
	"net/url"
	"strings"
)

// guard refuses hosts that this node does not answer to and speaks CORS. Immutable.
type guard struct {
	hosts, origins       map[string]bool
	allHosts, allOrigins bool
}

func newGuard(hosts, origins []string) *guard {
	g := &guard{hosts: make(map[string]bool), origins: make(map[string]bool)}
	for _, h := range hosts {
		g.hosts[strings.ToLower(h)] = true
		g.allHosts = g.allHosts || h == "*"
	}
	for _, o := range origins {
		g.origins[strings.ToLower(o)] = true
		g.allOrigins = g.allOrigins || o == "*"
	}
	return g
}

// preflightSeconds is how long a browser may remember an answer to a preflight; changed settings are seen after that.
const preflightSeconds = "600"

func (g *guard) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !g.hostAllowed(r.Host) {
			http.Error(w, "invalid host specified: "+printable(r.Host)+" is not in hosts", http.StatusForbidden)
			return
		}
		origin := r.Header.Get("Origin")
		preflight := r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != ""
		allowed := origin != "" && g.originAllowed(r)
		if origin != "" {
			w.Header().Add("Vary", "Origin")
		}
		if allowed {
			w.Header().Set("Access-Control-Allow-Origin", origin)
		}
		if !preflight {
			next.ServeHTTP(w, r)
			return
		}
		if !allowed {
			http.Error(w, "origin "+printable(origin)+" is not in origins", http.StatusForbidden)
			return
		}
		h := w.Header()
		h.Set("Access-Control-Allow-Methods", "POST, GET")
		if wanted := r.Header.Get("Access-Control-Request-Headers"); wanted != "" {
			h.Set("Access-Control-Allow-Headers", wanted)
		}
		if r.Header.Get("Access-Control-Request-Private-Network") == "true" {
			h.Set("Access-Control-Allow-Private-Network", "true")
		}
		h.Set("Access-Control-Max-Age", preflightSeconds)
		w.WriteHeader(http.StatusNoContent)
	})
}

// hostAllowed: an IP address cannot be rebound, and a browser always sends a host.
func (g *guard) hostAllowed(host string) bool {
	if g.allHosts || host == "" {
		return true
	}
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	}
	return net.ParseIP(name) != nil || g.hosts[strings.ToLower(name)]
}

// originAllowed lets through who sends no origin (no browser) and pages that this very host serves.
func (g *guard) originAllowed(r *http.Request) bool {
	origin := strings.ToLower(r.Header.Get("Origin"))
	if origin == "" || g.allOrigins || g.origins[origin] {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && u.Host == strings.ToLower(r.Host)
}

func validOrigin(o string) bool {
	u, err := url.Parse(o)
	return err == nil && u.Scheme != "" && u.Host != "" && u.Path == "" && u.RawQuery == "" && u.User == nil
}

// printable bounds what of a client's header is sent back.
func printable(s string) string {
	if len(s) > 100 {
		s = s[:100]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}
