//! A service in Rust for WASI preview 1: it counts its visitors in a file of the pod's volume.
//!
//! The listening socket of the container's port is descriptor 3; Debian's Rust knows nothing of
//! such sockets yet, so that the calls it takes are named here. Everything else is std.

use std::fs;
use std::io;

const LISTENER: u32 = 3;
const COUNT_FILE: &str = "/data/count";
const MAX_REQUEST: usize = 8 * 1024;
const MAX_CONNECTIONS: usize = 64;
const AGAIN: u16 = 6;

#[repr(C)]
struct Span {
    at: *const u8,
    size: usize,
}

/// `subscription` of preview 1, for "can be read" of a descriptor.
#[repr(C)]
struct Subscription {
    userdata: u64,
    kind: u8,
    descriptor: u32,
    unused: [u64; 3],
}

/// `event` of preview 1.
#[repr(C)]
#[derive(Clone, Copy)]
struct Event {
    userdata: u64,
    error: u16,
    kind: u8,
    bytes: u64,
    flags: u16,
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
extern "C" {
    fn sock_accept(socket: u32, flags: u16, accepted: *mut u32) -> u16;
    fn sock_recv(s: u32, into: *const Span, n: usize, flags: u16, size: *mut usize, out: *mut u16) -> u16;
    fn sock_send(s: u32, from: *const Span, n: usize, flags: u16, size: *mut usize) -> u16;
    fn fd_close(descriptor: u32) -> u16;
    fn fd_fdstat_set_flags(descriptor: u32, flags: u16) -> u16;
    fn poll_oneoff(wanted: *const Subscription, came: *mut Event, count: usize, stored: *mut usize) -> u16;
}

/// A client, and what of its request is here.
struct Connection {
    socket: u32,
    request: Vec<u8>,
}

impl Connection {
    /// False when there is nothing more to do for it.
    fn go_on(&mut self) -> bool {
        let mut piece = [0u8; 2048];
        let (mut size, mut flags) = (0usize, 0u16);
        let span = Span { at: piece.as_mut_ptr(), size: piece.len() };
        match unsafe { sock_recv(self.socket, &span, 1, 0, &mut size, &mut flags) } {
            0 if size > 0 => self.request.extend_from_slice(&piece[..size]),
            AGAIN => return true,
            _ => return false,
        }
        if self.request.windows(4).any(|end| end == b"\r\n\r\n") {
            let answer = answer(&self.request);
            self.send(answer.as_bytes());
            return false;
        }
        self.request.len() < MAX_REQUEST
    }

    /// Answers are short: what a socket does not take at once would be a client that never reads.
    fn send(&self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let span = Span { at: bytes.as_ptr(), size: bytes.len() };
            let mut size = 0usize;
            if unsafe { sock_send(self.socket, &span, 1, 0, &mut size) } != 0 {
                return;
            }
            bytes = &bytes[size..];
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        unsafe { fd_close(self.socket) };
    }
}

fn answer(request: &[u8]) -> String {
    let text = String::from_utf8_lossy(request);
    let path = text.split(' ').nth(1).unwrap_or("/");
    let (status, body) = match path {
        "/healthz" => ("200 OK", "ok\n".to_string()),
        "/" => match visit() {
            Ok(count) => ("200 OK", format!("{}, visitor {}\n", greeting(), count)),
            Err(error) => {
                eprintln!("{}: {}", COUNT_FILE, error);
                ("500 Internal Server Error", "nobody can be counted\n".to_string())
            }
        },
        _ => ("404 Not Found", "there is nothing here\n".to_string()),
    };
    let size = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {size}\r\n\
         Connection: close\r\n\r\n{body}"
    )
}

fn greeting() -> String {
    std::env::var("GREETING").unwrap_or_else(|_| "Hello".to_string())
}

/// The number of this visit; in place by rename, so that a crash leaves the one before.
fn visit() -> io::Result<u64> {
    let before = match fs::read_to_string(COUNT_FILE) {
        Ok(text) => text.trim().parse().unwrap_or(0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    let now: u64 = before + 1;
    let next = format!("{COUNT_FILE}.next");
    fs::write(&next, format!("{now}\n"))?;
    fs::rename(&next, COUNT_FILE)?;
    Ok(now)
}

fn wait_for(connections: &[Connection]) {
    let listener = (connections.len() < MAX_CONNECTIONS).then(|| LISTENER);
    let wanted: Vec<Subscription> = connections
        .iter()
        .map(|connection| connection.socket)
        .chain(listener)
        .map(|descriptor| Subscription { userdata: 0, kind: 1, descriptor, unused: [0; 3] })
        .collect();
    let nothing = Event { userdata: 0, error: 0, kind: 0, bytes: 0, flags: 0 };
    let mut came = vec![nothing; wanted.len()];
    let mut stored = 0usize;
    unsafe { poll_oneoff(wanted.as_ptr(), came.as_mut_ptr(), wanted.len(), &mut stored) };
}

fn main() {
    const NON_BLOCKING: u16 = 4;
    println!("counting in {}", COUNT_FILE);
    unsafe { fd_fdstat_set_flags(LISTENER, NON_BLOCKING) };
    let mut connections: Vec<Connection> = Vec::new();
    loop {
        wait_for(&connections);
        connections.retain_mut(Connection::go_on);
        let mut socket = 0u32;
        while connections.len() < MAX_CONNECTIONS
            && unsafe { sock_accept(LISTENER, NON_BLOCKING, &mut socket) } == 0
        {
            connections.push(Connection { socket, request: Vec::new() });
        }
    }
}
