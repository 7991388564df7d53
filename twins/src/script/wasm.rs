//! MicroPython itself, version 1.27, as its own project builds it for WebAssembly, interpreted within this process.
//!
//! Why an interpreter (wasmi) and no compiler: a device waits far more than it computes, instructions are counted exactly (the
//! budget and the simulated time of computing come from it), an instance costs memory only for what it touches, and it is
//! a fraction of a compiler's build. What JavaScript lends MicroPython is not there: no `js` module.
//!
//! An instance is started from a picture of memory in which MicroPython and the shim are loaded already; one picture serves
//! all devices of a board. Its garbage-collected heap is the board's: what the shim takes is added, and what memory is left
//! beyond is taken away, so that the heap cannot grow.
//!
//! The script's line to the run is a file, `/dev/world`; its other files are a flash of its own ([`fs`]).

mod door;
mod fs;
mod look;
mod scheduler;
mod spin;

use super::{
    Options,
    cpython::text,
    device::Life,
    guest::{Guest, Host, HostError, Went},
};
use door::{State, Stop, call, link, spent};
use fs::Flash;
use look::Looks;
use spin::Spin;
use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::JoinHandle,
    time::Duration,
};
use twinfleet_engine::rng::stream;
use wasmi::{CompilationMode, Config, Engine, Error, Instance, Linker, Memory, Module, Store, Val};

static MICROPYTHON: &[u8] = include_bytes!("../../../assets/micropython/micropython.wasm");

/// Cycles of the board's processor for one unit of fuel. The interpreter charges a round of a loop with the whole loop's body,
/// and MicroPython's own is one large loop with a round for each bytecode: some thousands of units. An empty loop in a function
/// then takes about a microsecond a round at 240 MHz, as on an ESP32. Own estimate for all other boards.
const CYCLES_PER_FUEL: f64 = 0.0072;
/// Fuel after which the run is told that the script still computes: some 30 ms on an ESP32.
const SLICE: u64 = 1_000_000_000;
/// What a picture is cut into, [bytes]: the machine's own pages, so that an instance touches no more than it must.
const PAGE_BYTES: usize = 4096;
/// Native stack of an instance's thread, [bytes]: Python's calls nest in it.
const STACK_BYTES: usize = 4 << 20;
/// Room for the shim within the heap, of which a ballast takes what is left, [KiB].
const SHIM_KB: u32 = 256;
/// Memory by which an instance may grow for what it computes between two collections of garbage, in pages of 64 KiB.
const ROOM_PAGES: u64 = 128;
/// What instances keep for the C library beside the heap, [bytes].
const RESERVE_BYTES: i32 = 24 << 10;

/// Heap that MicroPython leaves to scripts on a board, [KiB]: figures that `gc.mem_free()` shows there after a start, about.
fn heap_kb(board: &str, ram_kb: f64) -> u32 {
    let known = [
        ("esp8266", 36),
        ("esp32-c3", 170),
        ("esp32-s3", 220),
        ("esp32", 160),
        ("raspberry-pi-pico", 190),
        ("arduino-nano-33", 16),
        ("arduino-mkr", 16),
    ];
    let found = known.iter().find(|(name, _)| board.starts_with(name));
    found.map_or_else(|| (ram_kb * 0.5).clamp(8.0, 4096.0) as u32, |(_, kb)| *kb)
}

/// MicroPython, compiled once for all instances.
struct Code {
    engine: Engine,
    module: Module,
    linker: Linker<State>,
}

/// The body of MicroPython's function that says by how much its heap may grow at once, at most: 128 MiB.
const GROWS: [u8; 7] = [0x41, 0x80, 0x80, 0x80, 0xC0, 0x00, 0x0B];

/// The module for a board: its heap grows at once by the board's heap at most, so that a statement that asks for more fails there
/// and then, as on the board; and it has less memory than the 16 MiB that it asks for. None: it is not the module that is known.
fn for_board(pages: u32, most_bytes: u32) -> Option<Vec<u8>> {
    let mut bytes = MICROPYTHON.to_vec();
    let at = bytes.windows(GROWS.len()).position(|body| body == GROWS)?;
    for i in 0..5 {
        let more = if i < 4 { 0x80 } else { 0 };
        bytes[at + 1 + i] = (most_bytes >> (7 * i) & 0x7F) as u8 | more;
    }
    // A larger heap keeps the memory that the module asks for.
    let _ = with_memory(&mut bytes, pages);
    Some(bytes)
}

/// Rewrites the least size of a module's one memory in place, where that is less than it asks for.
fn with_memory(bytes: &mut [u8], pages: u32) -> Option<()> {
    let leb = |bytes: &[u8], at: &mut usize| {
        let (mut value, mut shift) = (0u32, 0);
        loop {
            let b = *bytes.get(*at)?;
            *at += 1;
            value |= u32::from(b & 0x7F) << shift;
            shift += 7;
            if b & 0x80 == 0 || shift > 28 {
                return Some(value);
            }
        }
    };
    let mut at = 8;
    while at < bytes.len() {
        let id = bytes[at];
        at += 1;
        let length = leb(bytes, &mut at)? as usize;
        if id == 5 {
            // One memory, its flags, its least size: two digits, as it had.
            let mut limits = at + 2;
            let first = limits;
            if leb(bytes, &mut limits)? < pages || limits != first + 2 {
                return None;
            }
            bytes[first] = (pages & 0x7F) as u8 | 0x80;
            bytes[first + 1] = (pages >> 7) as u8;
            return Some(());
        }
        at += length;
    }
    None
}

/// The module for instances with a heap of this size.
fn code(heap_kb: u32) -> Result<Arc<Code>, HostError> {
    static CODES: OnceLock<Mutex<HashMap<u32, Arc<Code>>>> = OnceLock::new();
    // Its own data and stack, the heap with the shim and its garbage, the C library's reserve.
    let pages = (heap_kb + SHIM_KB + 512).div_ceil(64);
    let mut codes = CODES.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(code) = codes.get(&heap_kb) {
        return Ok(Arc::clone(code));
    }
    let wrong = |e: Error| HostError(format!("MicroPython cannot be loaded: {e}"));
    let mut config = Config::default();
    config.consume_fuel(true);
    // What is translated on first use would be charged to whoever came first.
    config.compilation_mode(CompilationMode::Eager);
    let engine = Engine::new(&config);
    let unknown = || HostError("MicroPython cannot be loaded: it is another build".to_owned());
    let bytes = for_board(pages, heap_kb.saturating_mul(1024)).ok_or_else(unknown)?;
    let module = Module::new(&engine, &bytes).map_err(wrong)?;
    let linker = link(&engine, &module).map_err(wrong)?;
    let code = Arc::new(Code { engine, module, linker });
    codes.insert(heap_kb, Arc::clone(&code));
    Ok(code)
}

/// An instance.
struct Micro {
    store: Store<State>,
    instance: Instance,
    memory: Memory,
}

impl Micro {
    fn new(state: State, heap_kb: u32) -> Result<Self, Error> {
        let code = code(heap_kb).map_err(|e| Error::new(e.0))?;
        let mut store = Store::new(&code.engine, state);
        store.set_fuel(SLICE)?;
        store.data_mut().given = SLICE;
        let instance = code.linker.instantiate_and_start(&mut store, &code.module)?;
        let memory = instance.get_memory(&store, "memory").ok_or_else(|| Error::new("no memory"))?;
        store.data_mut().memory = Some(memory);
        store.data_mut().interrupt = instance.get_func(&store, "mp_sched_keyboard_interrupt");
        Ok(Self { store, instance, memory })
    }

    fn call(&mut self, name: &str, params: &[i32], results: usize) -> Result<i32, Error> {
        let func =
            self.instance.get_func(&self.store, name).ok_or_else(|| Error::new(format!("no {name}")))?;
        let params: Vec<Val> = params.iter().map(|p| Val::I32(*p)).collect();
        let mut out = vec![Val::I32(0); results];
        call(&mut self.store, func, &params, &mut out)?;
        Ok(out.first().and_then(Val::i32).unwrap_or(0))
    }

    /// Runs a text; its errors are its own to catch.
    fn exec(&mut self, source: &str) -> Result<(), Error> {
        let n = source.len() as i32;
        let at = self.call("malloc", &[n + 1], 1)?;
        let out = self.call("malloc", &[12], 1)?;
        if at == 0 || out == 0 {
            return Err(Error::new("no memory for the script's text"));
        }
        let mut bytes = source.as_bytes().to_vec();
        bytes.push(0);
        self.memory.write(&mut self.store, at as usize, &bytes).map_err(|e| Error::new(e.to_string()))?;
        self.call("mp_js_do_exec", &[at, n, out], 0)?;
        let mut kind = [0u8; 12];
        self.memory.read(&self.store, out as usize, &mut kind).map_err(|e| Error::new(e.to_string()))?;
        let words: Vec<i32> = kind.chunks(4).map(|c| i32::from_le_bytes([c[0], c[1], c[2], c[3]])).collect();
        if words[0] == -1 {
            let mut text = vec![0; words[1].clamp(0, 65_536) as usize];
            self.memory
                .read(&self.store, words[2] as usize, &mut text)
                .map_err(|e| Error::new(e.to_string()))?;
            // The error's name stands before its traceback.
            let text = String::from_utf8_lossy(&text).into_owned();
            let told = text.split_once('\u{4}').map_or(text.as_str(), |(_, told)| told);
            return Err(Error::new(told.trim_end_matches('\0').to_owned()));
        }
        self.call("free", &[at], 0)?;
        self.call("free", &[out], 0)?;
        Ok(())
    }

    /// Takes away the memory into which the heap could grow.
    fn exhaust(&mut self) -> Result<(), Error> {
        let reserve = self.call("malloc", &[RESERVE_BYTES], 1)?;
        let mut size = 1 << 20;
        while size >= 4096 {
            if self.call("malloc", &[size], 1)? == 0 {
                size /= 2;
            }
        }
        self.call("free", &[reserve], 0)?;
        Ok(())
    }
}

/// The memory of an instance with MicroPython and shim loaded, without its empty pages, and its files.
struct Picture {
    pages: Vec<(usize, Box<[u8]>)>,
    flash: Flash,
    scratch: i32,
    turn: i32,
    heap_kb: u32,
}

fn blank() -> State {
    State {
        flash: Flash::new(),
        line: Vec::new(),
        answer: Vec::new(),
        run: None,
        dice: stream(0, "", "micropython"),
        base_ns: 0,
        base_spent: 0,
        given: 0,
        ns_per_fuel: 0.0,
        epoch_ns: 0,
        console: Vec::new(),
        stuck: false,
        interrupt: None,
        scratch: 0,
        memory: None,
        turn: 0,
        room: 0,
        looks: Looks::default(),
        news: VecDeque::new(),
        due_ns: None,
        bites_ns: None,
        born_ns: 0,
        asked: 0,
        spin: Spin::default(),
    }
}

/// The shim's modules, and MicroPython's own that boards have frozen in.
fn modules() -> Vec<(String, &'static str)> {
    super::cpython::folder("micro")
}

fn picture(heap_kb: u32) -> Result<Picture, Error> {
    let mut micro = Micro::new(blank(), heap_kb)?;
    for (path, source) in modules() {
        micro.store.data_mut().flash.put(&format!("/shim/{path}"), source.as_bytes().to_vec());
    }
    micro.call("__wasm_call_ctors", &[], 0)?;
    // Room for the shim, which a ballast fills up to what the board has.
    micro.call("mp_js_init", &[8 * 1024, (heap_kb + SHIM_KB) as i32 * 1024], 0)?;
    micro.call("proxy_c_init", &[], 0)?;
    let scratch = micro.call("malloc", &[16], 1)?;
    micro
        .memory
        .write(&mut micro.store, scratch as usize, &[0; 16])
        .map_err(|e| Error::new(e.to_string()))?;
    micro.store.data_mut().scratch = scratch;
    micro.exec(text("micro/_boot.py"))?;
    micro.exec(&format!("import _twinfleet; _twinfleet.ready({heap_kb})"))?;
    micro.exhaust()?;
    micro.exec("_twinfleet.fill()")?;
    let data = micro.memory.data(&micro.store);
    let pages = data.chunks(PAGE_BYTES).enumerate().filter(|(_, page)| page.iter().any(|b| *b != 0));
    let pages = pages.map(|(i, page)| (i * PAGE_BYTES, Box::from(page))).collect();
    let turn = micro.store.data().turn;
    Ok(Picture { pages, flash: micro.store.data().flash.clone(), scratch, turn, heap_kb })
}

/// Pictures by size of heap.
type Pictures = Arc<Mutex<HashMap<u32, Arc<Picture>>>>;

/// Instances of a run, one after the other of the same device; clones, for other devices, share their pictures.
pub struct MicroPython {
    patience: Duration,
    pictures: Pictures,
    /// The life before, which leaves its flash.
    before: Option<JoinHandle<Flash>>,
}

impl Clone for MicroPython {
    fn clone(&self) -> Self {
        Self { patience: self.patience, pictures: Arc::clone(&self.pictures), before: None }
    }
}

impl MicroPython {
    /// Instances to come.
    pub fn new(options: &Options) -> Self {
        Self { patience: options.patience, pictures: Arc::default(), before: None }
    }

    fn picture(&self, heap_kb: u32) -> Result<Arc<Picture>, HostError> {
        let mut all = self.pictures.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = all.get(&heap_kb) {
            return Ok(Arc::clone(made));
        }
        let made = picture(heap_kb).map_err(|e| HostError(format!("MicroPython does not start: {e}")))?;
        let made = Arc::new(made);
        all.insert(heap_kb, Arc::clone(&made));
        Ok(made)
    }
}

/// Words of Python for a text.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

impl Host for MicroPython {
    fn start(&mut self, life: &Life, now_ns: u64) -> Result<(Box<dyn Guest>, Went), HostError> {
        let heap_kb = life.script.heap_kb.unwrap_or_else(|| heap_kb(&life.board, life.ram_kb));
        let picture = self.picture(heap_kb)?;
        let (to_run, from_guest) = channel();
        let (to_guest, from_run) = channel();
        let life = life.clone();
        // It ends by itself, since nobody answers it any more.
        let flash = self.before.take().and_then(|thread| thread.join().ok());
        let thread = std::thread::Builder::new().name(life.device.clone()).stack_size(STACK_BYTES);
        let spawned = thread.spawn(move || {
            let done = to_run.clone();
            let (went, flash) = live(&picture, &life, flash, now_ns, to_run, from_run);
            // Nobody may be left to hear it.
            let _ = done.send(went);
            flash
        });
        self.before = Some(spawned.map_err(|e| HostError(format!("no thread for its script: {e}")))?);
        let mut guest = Thread { answers: to_guest, questions: from_guest, patience: self.patience };
        let went = guest.next();
        Ok((Box::new(guest), went))
    }
}

/// An instance's whole life, upon the flash that the one before has left. It leaves its own.
fn live(
    picture: &Picture,
    life: &Life,
    before: Option<Flash>,
    now_ns: u64,
    to: Sender<Went>,
    from: Receiver<String>,
) -> (Went, Flash) {
    let mut flash = picture.flash.clone();
    match before {
        Some(before) => flash.take_over(&before),
        None => {
            for (path, bytes) in &life.card.files {
                let python = path.extension().is_some_and(|e| e == "py");
                let bytes = if python { without_emitters(bytes) } else { bytes.clone() };
                flash.put(&format!("/{}", path.display()), bytes);
            }
        }
    }
    let state = State {
        flash,
        scratch: picture.scratch,
        turn: picture.turn,
        run: Some((to, from)),
        dice: stream(life.seed, &life.device, "micropython"),
        base_ns: now_ns,
        ns_per_fuel: CYCLES_PER_FUEL * 1e3 / life.clock_mhz,
        epoch_ns: life.epoch_ns,
        ..blank()
    };
    let mut micro = match Micro::new(state, picture.heap_kb) {
        Ok(micro) => micro,
        Err(e) => return (gone(&e), Flash::new()),
    };
    let went = match run(&mut micro, picture, life) {
        Ok(()) => Went::Gone("its script has ended without a word".to_owned()),
        Err(e) if e.downcast_ref::<Stop>().is_some() => Went::Gone(String::new()),
        // What the shim could not tell itself, for want of memory: the script's end all the same.
        Err(e) => {
            let text = super::machine::hex(e.to_string().bytes());
            Went::Asked(format!("{} end crash {text}", door::now_ns(&micro.store)))
        }
    };
    (went, std::mem::replace(&mut micro.store.data_mut().flash, Flash::new()))
}

fn gone(e: &Error) -> Went {
    Went::Gone(format!("MicroPython has come to its end: {e}"))
}

fn run(micro: &mut Micro, picture: &Picture, life: &Life) -> Result<(), Error> {
    for (at, page) in &picture.pages {
        micro.memory.write(&mut micro.store, *at, page).map_err(|e| Error::new(e.to_string()))?;
    }
    micro.store.data_mut().base_spent = spent(&micro.store);
    micro.store.data_mut().room = ROOM_PAGES;
    micro.exec(&format!(
        "import _twinfleet; _twinfleet.run({}, {}, {}, {}, {}, {})",
        quoted(&life.card.main),
        quoted(&life.device),
        quoted(&super::machine::hex(life.mac)),
        quoted(life.reset_cause),
        (life.clock_mhz * 1e6) as u64,
        quoted(&life.board)
    ))
}

/// A program without the decorators that would have it compiled for a processor: there is none here that it could run on, and
/// bytecode does the same. Its lines keep their numbers.
fn without_emitters(program: &[u8]) -> Vec<u8> {
    let emitters: [&[u8]; 2] = [b"@micropython.native", b"@micropython.viper"];
    let mut plain = Vec::with_capacity(program.len());
    for line in program.split_inclusive(|b| *b == b'\n') {
        // With blanks and a comment it is the same.
        let code = line.split(|b| *b == b'#').next().unwrap_or_default();
        let bare: Vec<u8> = code.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
        if emitters.contains(&bare.as_slice()) {
            let end = line.len() - line.trim_ascii_end().len();
            plain.extend_from_slice(&line[line.len() - end..]);
        } else {
            plain.extend_from_slice(line);
        }
    }
    plain
}

/// The thread of an instance, seen from its device.
struct Thread {
    answers: Sender<String>,
    questions: Receiver<Went>,
    patience: Duration,
}

impl Thread {
    fn next(&mut self) -> Went {
        match self.questions.recv_timeout(self.patience) {
            Ok(went) => went,
            Err(RecvTimeoutError::Timeout) => Went::Hung(self.patience),
            Err(RecvTimeoutError::Disconnected) => Went::Gone("its interpreter failed".to_owned()),
        }
    }
}

impl Guest for Thread {
    fn resume(&mut self, answer: &str) -> Went {
        if self.answers.send(answer.to_owned()).is_err() {
            return Went::Gone("its interpreter failed".to_owned());
        }
        self.next()
    }
}
