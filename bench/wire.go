package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/gorilla/websocket"
)

// sender is one WebSocket connection that submits batches. Use by one goroutine.
type sender struct {
	conn *websocket.Conn
	// node is the number of the node at the other end.
	node int
	// answers holds a token for every unanswered batch; a full one makes send wait.
	answers chan struct{}
	failed  chan error
	done    chan struct{}
}

// inFlight bounds the unanswered batches of one connection.
const inFlight = 4

func dialSender(ctx context.Context, url string) (*sender, error) {
	conn, _, err := websocket.DefaultDialer.DialContext(ctx, url, nil)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", url, err)
	}
	s := &sender{conn: conn, answers: make(chan struct{}, inFlight), failed: make(chan error, 1), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		if err := s.readAnswers(); err != nil {
			s.failed <- err
		}
	}()
	return s, nil
}

// send writes one batch, waiting while inFlight others are unanswered.
func (s *sender) send(ctx context.Context, message []byte) error {
	select {
	case s.answers <- struct{}{}:
	case err := <-s.failed:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := s.conn.WriteMessage(websocket.TextMessage, message); err != nil {
		return fmt.Errorf("send a batch: %w", err)
	}
	return nil
}

// flush waits until everything is answered, and answered well.
func (s *sender) flush(ctx context.Context) error {
	for range inFlight {
		select {
		case s.answers <- struct{}{}:
		case err := <-s.failed:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for range inFlight {
		<-s.answers
	}
	return nil
}

func (s *sender) close() {
	s.conn.Close()
	<-s.done
}

type answer struct {
	ID    int `json:"id"`
	Error *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// readAnswers ends with the connection (nil, when we closed it) or at the first refused transaction.
func (s *sender) readAnswers() error {
	for {
		_, message, err := s.conn.ReadMessage()
		if err != nil {
			return fmt.Errorf("the node closed the connection: %w", err)
		}
		if err := checkAnswers(message); err != nil {
			return err
		}
		select {
		case <-s.answers:
		default:
			return fmt.Errorf("the node answered something that was not asked: %.200s", message)
		}
	}
}

// checkAnswers turns a refused transaction into an error.
func checkAnswers(message []byte) error {
	var answers []answer
	if err := json.Unmarshal(message, &answers); err != nil {
		return fmt.Errorf("the node answered no batch: %.200s", message)
	}
	for _, a := range answers {
		if a.Error != nil {
			return fmt.Errorf("the node refused transaction %d of a batch: %s (code %d)", a.ID, a.Error.Message, a.Error.Code)
		}
	}
	return nil
}
