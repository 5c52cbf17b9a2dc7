package serve

import (
	"encoding/json"
	"net/http"
)

// serveHealth says that the process lives.
func (s *Server) serveHealth(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, r, []byte(`{"status":"alive"}`))
}

// serveReady says whether the node can take transactions; 503 with the reason when it cannot.
func (s *Server) serveReady(w http.ResponseWriter, r *http.Request) {
	if s.backend.Ready != nil {
		if err := s.backend.Ready(); err != nil {
			body, jerr := json.Marshal(map[string]string{"status": "not ready", "reason": err.Error()})
			if jerr != nil {
				http.Error(w, jerr.Error(), http.StatusInternalServerError)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusServiceUnavailable)
			w.Write(body)
			return
		}
	}
	writeJSON(w, r, []byte(`{"status":"ready"}`))
}
