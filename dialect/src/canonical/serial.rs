//! One thing after another, for dialects whose streams have no two pieces open at a time.

use super::{Completeness, Failure, StreamEvent};

/// Orders a stream's events so that all of a tool call is told before anything else of its choice begins.
///
/// Providers may tell calls side by side; most tell them in turn. The call that came first passes as it comes. What comes
/// meanwhile waits until the first call's arguments are a whole JSON object (or the choice has finished), so a stream
/// that is in turn waits for nothing. `Usage`, `Error` and `Done` never wait.
///
/// One choice: dialects that need this have no more.
#[derive(Debug, Default)]
pub struct Serial {
    open: Option<Open>,
    waiting: Vec<StreamEvent>,
    /// Calls told so far: none of them can go on once another has begun.
    told: u32,
}

#[derive(Debug)]
struct Open {
    index: u32,
    arguments: Completeness,
}

impl Serial {
    pub fn new() -> Self {
        Self::default()
    }

    /// Hands `event`, and what has waited for it, to `out`.
    pub fn push(&mut self, event: &StreamEvent, out: &mut impl FnMut(&StreamEvent)) {
        match event {
            StreamEvent::Usage(_) | StreamEvent::Error(_) => out(event),
            StreamEvent::Finish { .. } | StreamEvent::Done => {
                // What is open now will not go on: each call that waits is told with all that came for it.
                while let Some(open) = self.open.take() {
                    self.told = self.told.max(open.index + 1);
                    self.drain(true, out);
                }
                out(event);
            }
            _ => {
                self.step(event.clone(), out);
            }
        }
    }

    /// Tells an event or lets it wait.
    fn step(&mut self, event: StreamEvent, out: &mut impl FnMut(&StreamEvent)) {
        if let Some(open) = &mut self.open {
            if let StreamEvent::ToolCallDelta { index, arguments, .. } = &event
                && *index == open.index
            {
                open.arguments.push(arguments);
                out(&event);
                if open.arguments.is_whole() && !self.waiting.is_empty() {
                    self.open = None;
                    self.drain(false, out);
                }
                return;
            }
            if !open.arguments.is_whole() || !self.waiting.is_empty() {
                wait(&mut self.waiting, event);
                return;
            }
            self.open = None;
        }
        match &event {
            StreamEvent::ToolCallStart { index, .. } => {
                self.open = Some(Open { index: *index, arguments: Completeness::default() });
                self.told = self.told.max(index + 1);
            }
            StreamEvent::ToolCallDelta { index, arguments, .. } => {
                // White space behind the object is nothing; more than that cannot be told any more.
                if *index < self.told && !arguments.trim().is_empty() {
                    out(&StreamEvent::Error(Failure::malformed("a call goes on after its arguments have ended")));
                }
                return;
            }
            _ => {}
        }
        out(&event);
    }

    /// Tells what has waited, until it meets a call that is not whole yet; with `ended`, such a call takes with it what
    /// waits for it, because nothing more comes.
    fn drain(&mut self, ended: bool, out: &mut impl FnMut(&StreamEvent)) {
        let waiting = std::mem::take(&mut self.waiting);
        if !ended {
            for event in waiting {
                self.step(event, out);
            }
            return;
        }
        let mut rest = waiting.into_iter();
        let mut later = Vec::new();
        for event in rest.by_ref() {
            match (&event, &self.open) {
                (StreamEvent::ToolCallDelta { index, .. }, Some(open)) if *index == open.index => out(&event),
                (_, Some(_)) => later.push(event),
                (_, None) => self.step(event, out),
            }
        }
        self.waiting = later;
    }
}

/// Deltas of the same thing are joined: what waits grows with its text, not with the number of its events.
fn wait(waiting: &mut Vec<StreamEvent>, event: StreamEvent) {
    match (waiting.last_mut(), &event) {
        (Some(StreamEvent::TextDelta { text, .. }), StreamEvent::TextDelta { text: more, .. })
        | (Some(StreamEvent::ThinkingDelta { text, .. }), StreamEvent::ThinkingDelta { text: more, .. })
        | (Some(StreamEvent::RefusalDelta { text, .. }), StreamEvent::RefusalDelta { text: more, .. }) => {
            text.push_str(more);
            return;
        }
        _ => {}
    }
    if let StreamEvent::ToolCallDelta { index, arguments: more, .. } = &event {
        let same = waiting.iter_mut().rev().find_map(|waiting| match waiting {
            StreamEvent::ToolCallDelta { index: known, arguments, .. } if known == index => Some(arguments),
            _ => None,
        });
        if let Some(arguments) = same {
            arguments.push_str(more);
            return;
        }
    }
    waiting.push(event);
}

#[cfg(test)]
mod tests {
    use super::super::{Collector, Finish};
    use super::*;
    use proptest::prelude::*;

    fn start(index: u32) -> StreamEvent {
        StreamEvent::ToolCallStart { choice: 0, index, id: format!("c{index}"), name: "f".into(), signature: None }
    }

    fn delta(index: u32, arguments: &str) -> StreamEvent {
        StreamEvent::ToolCallDelta { choice: 0, index, arguments: arguments.into() }
    }

    fn text(text: &str) -> StreamEvent {
        StreamEvent::TextDelta { choice: 0, text: text.into() }
    }

    fn serial(events: &[StreamEvent]) -> Vec<StreamEvent> {
        let (mut serial, mut out) = (Serial::new(), Vec::new());
        for event in events {
            serial.push(event, &mut |event| out.push(event.clone()));
        }
        out
    }

    const END: StreamEvent = StreamEvent::Finish { choice: 0, reason: Finish::ToolCalls };

    #[test]
    fn what_is_in_turn_waits_for_nothing() {
        let (mut serial, mut seen) = (Serial::new(), 0);
        let events =
            [text("a"), start(0), delta(0, "{\"a"), delta(0, "}\":1}"), start(1), delta(1, "{}"), text("b"), END];
        for (at, event) in events.iter().enumerate() {
            serial.push(event, &mut |told| {
                seen += 1;
                assert_eq!(told, event);
            });
            assert_eq!(seen, at + 1);
        }
    }

    #[test]
    fn what_is_side_by_side_is_put_in_turn() {
        let events =
            [start(0), start(1), delta(0, "{\"x\":"), delta(1, "{"), text("t"), delta(0, "1}"), delta(1, "}"), END];
        let expected =
            [start(0), delta(0, "{\"x\":"), delta(0, "1}"), start(1), delta(1, "{"), delta(1, "}"), text("t"), END];
        assert_eq!(serial(&events), expected);
    }

    #[test]
    fn quotes_and_brackets_in_strings_are_text() {
        let first = delta(0, r#"{"a":"\"}\\"#);
        let events = [start(0), first.clone(), start(1), delta(1, "{}"), delta(0, r#""}"#), END];
        assert_eq!(serial(&events), [start(0), first, delta(0, r#""}"#), start(1), delta(1, "{}"), END]);
    }

    #[test]
    fn calls_without_arguments_wait_for_the_end() {
        let events = [start(0), start(1), delta(1, "{}"), start(2), END, StreamEvent::Done];
        assert_eq!(serial(&events), events);
    }

    #[test]
    fn a_call_cannot_go_on_after_its_end() {
        let events = serial(&[start(0), delta(0, "{}"), text("a"), delta(0, " \n"), delta(0, "{}")]);
        assert_eq!(events[..3], [start(0), delta(0, "{}"), text("a")]);
        assert!(matches!(events[3], StreamEvent::Error(_)) && events.len() == 4, "{events:?}");
    }

    fn any_event() -> impl Strategy<Value = StreamEvent> {
        prop_oneof![
            (0_u32..4, "[{}\"a]{0,3}").prop_map(|(index, arguments)| delta(index, &arguments)),
            "[a-z]{1,3}".prop_map(|said| text(&said)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        /// Whatever the order, each call is told in one piece, and with all that came for it.
        #[test]
        fn each_call_is_told_in_one_piece(
            arguments in proptest::collection::vec("(\\{\"a\":\"[a-z}\\]]{0,5}\"\\})?", 1..4),
            order in proptest::collection::vec((0_usize..5, 1_usize..4), 0..40),
        ) {
            let mut events = vec![StreamEvent::Start { id: "i".into(), model: "m".into(), created: None }];
            let mut sent = vec![0; arguments.len()];
            let mut expected = String::new();
            events.push(start(0));
            let mut started = 1;
            for (which, length) in order {
                if which == 4 {
                    events.push(text("t"));
                    expected.push('t');
                } else if which == started && started < arguments.len() {
                    events.push(start(u32::try_from(which).unwrap()));
                    started += 1;
                } else if which < started {
                    let rest = &arguments[which][sent[which]..];
                    let piece = &rest[..length.min(rest.len())];
                    sent[which] += piece.len();
                    events.push(delta(u32::try_from(which).unwrap(), piece));
                }
            }
            for which in 0..started {
                events.push(delta(u32::try_from(which).unwrap(), &arguments[which][sent[which]..]));
            }
            events.extend([END, StreamEvent::Done]);
            let out = serial(&events);
            let mut last_call = None;
            for event in &out {
                match event {
                    StreamEvent::ToolCallStart { index, .. } => last_call = Some(*index),
                    StreamEvent::ToolCallDelta { index, arguments, .. } if !arguments.is_empty() => {
                        prop_assert_eq!(Some(*index), last_call);
                    }
                    StreamEvent::TextDelta { .. } => last_call = None,
                    _ => {}
                }
            }
            let mut collector = Collector::new();
            out.iter().for_each(|event| collector.push(event));
            let answer = collector.finish().unwrap();
            prop_assert_eq!(answer.choices[0].text(), expected);
            let told: Vec<String> = answer.choices[0].parts.iter().filter_map(|part| match &part.content {
                super::super::Content::ToolCall { arguments, .. } => Some(arguments.clone()),
                _ => None,
            }).collect();
            let whole: Vec<String> =
                arguments[..started].iter().map(|text| if text.is_empty() { "{}".to_owned() } else { text.clone() }).collect();
            prop_assert_eq!(told, whole);
        }

        #[test]
        fn never_panics(events in proptest::collection::vec(any_event(), 0..30)) {
            let _ = serial(&events);
        }
    }
}
