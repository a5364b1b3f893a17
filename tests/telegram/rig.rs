//! A bot's worth of everything: server, database, client, and doubles of the gateway's side.

use std::{
    future::Future,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use telexd::{
    core::{
        Millis,
        backoff::BackoffRule,
        ids::{ConversationKey, InboxId, RunId, TurnId},
        inbound::Inbound,
        live::Live,
        text::{Formatted, Shown},
    },
    gateway::ports::{Admission, Clock, Dice, Reception},
    store::{
        Store, StoreError, Tx,
        rows::{NewTurn, OutRow, OutState, OutboxId, Slot, Target, TurnState, Urgency, Verdict},
    },
    telegram::{
        BotToken,
        client::{Client, ClientOptions},
        delivery::{self, Delivery, DeliveryConfig, drafts::DraftBoard, pacing::PacingRule},
        intake::{self, Intake, IntakeConfig, IntakeError, PollHealth},
    },
};
use telexd_botapi::{BotApi, Config};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How long a test waits for what must come.
pub const DEADLINE: Duration = Duration::from_secs(20);
/// How long a call may take where the answer never comes.
const SOON: Duration = Duration::from_secs(2);

pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Millis {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Millis::try_from(since.as_millis()).unwrap()
    }
}

pub struct FreshDice;

impl Dice for FreshDice {
    fn run_id(&self) -> RunId {
        RunId::from_random(*Uuid::new_v4().as_bytes())
    }

    fn uuid(&self) -> Uuid {
        Uuid::new_v4()
    }
}

pub fn now() -> Millis {
    SystemClock.now()
}

pub struct Rig {
    pub api: BotApi,
    pub store: Store,
    pub client: Client,
    pub directory: tempfile::TempDir,
    call_timeout: Duration,
}

impl Rig {
    pub async fn new() -> Self {
        Self::with(Config::default()).await
    }

    pub async fn with(config: Config) -> Self {
        Self::with_calls_of(DEADLINE, config).await
    }

    /// For answers that never come: a call is given up soon. Elsewhere a busy machine must not make a call ambiguous.
    pub async fn that_gives_up_soon() -> Self {
        Self::with_calls_of(SOON, Config::default()).await
    }

    async fn with_calls_of(call_timeout: Duration, config: Config) -> Self {
        let api = BotApi::start(config).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let (store, _thread) = Store::open(directory.path()).unwrap();
        let client = client_by(&api, api.token(), call_timeout, Arc::new(SystemClock));
        Self {
            api,
            store,
            client,
            directory,
            call_timeout,
        }
    }

    /// A person who has written to the bot before, so that it may answer.
    pub fn acquainted(&self, id: i64) {
        self.api.user(id, "Ann").send_text(id, "hi");
    }

    pub async fn tx<R: Send + 'static>(
        &self,
        f: impl FnOnce(&Tx<'_>) -> Result<R, StoreError> + Send + 'static,
    ) -> R {
        self.store.tx(f).await.unwrap()
    }

    pub async fn row(&self, id: OutboxId) -> OutRow {
        self.tx(move |tx| tx.out_row(id)).await.unwrap()
    }

    /// Waits until a row satisfies the condition.
    pub async fn row_when(&self, id: OutboxId, what: impl Fn(&OutRow) -> bool) -> OutRow {
        eventually(|| async { Some(self.row(id).await).filter(|row| what(row)) }).await
    }

    pub async fn done(&self, id: OutboxId) -> OutRow {
        self.row_when(id, |row| row.state == OutState::Done).await
    }

    /// A message of no turn.
    pub async fn say(&self, chat_id: i64, text: &str) -> OutboxId {
        self.show(chat_id, None, Urgency::Message, shown(text))
            .await
    }

    pub async fn show(
        &self,
        chat_id: i64,
        slot: Option<Slot>,
        urgency: Urgency,
        shown: Shown,
    ) -> OutboxId {
        let target = Target {
            chat_id,
            thread_id: 0,
        };
        self.tx(move |tx| tx.out_show(target, slot, urgency, &shown, now()))
            .await
    }

    /// First message of the answer of a fresh turn.
    pub async fn slot(&self, chat_id: i64) -> Slot {
        let bot_id = self.api.bot_id();
        let turn: TurnId = self
            .tx(move |tx| {
                let key = ConversationKey {
                    bot_id,
                    chat_id,
                    thread_id: 0,
                    user_id: chat_id,
                };
                let conversation = tx.conversation_open(&key, now())?.id;
                let turn = NewTurn {
                    conversation,
                    uuid: Some(Uuid::new_v4()),
                    state: TurnState::Queued,
                    parts: vec![],
                    run: None,
                };
                tx.turn_add(&turn, now())
            })
            .await;
        Slot { turn, number: 0 }
    }

    pub fn deliver(&self) -> Running {
        self.deliver_with(quick())
    }

    pub fn deliver_with(&self, config: DeliveryConfig) -> Running {
        self.deliver_by(Arc::new(SystemClock), config)
    }

    pub fn deliver_by(&self, clock: Arc<dyn Clock>, config: DeliveryConfig) -> Running {
        self.deliver_beside(DraftBoard::new(Arc::clone(&clock)), clock, config)
    }

    /// Beside the drafts of this board.
    pub fn deliver_beside(
        &self,
        drafts: DraftBoard,
        clock: Arc<dyn Clock>,
        config: DeliveryConfig,
    ) -> Running {
        let stop = CancellationToken::new();
        let delivery = Delivery {
            // It makes deadlines of Telegram's waits.
            client: client_by(
                &self.api,
                self.api.token(),
                self.call_timeout,
                Arc::clone(&clock),
            ),
            store: self.store.clone(),
            clock,
            dice: Arc::new(FreshDice),
            drafts,
            config,
        };
        Running {
            task: tokio::spawn(delivery::run(delivery, stop.clone())),
            stop,
        }
    }

    pub fn take_in(
        &self,
        gateway: &Arc<Gateway>,
    ) -> (Running<IntakeError>, watch::Receiver<PollHealth>) {
        self.take_in_with(gateway, self.client.clone())
    }

    pub fn take_in_with(
        &self,
        gateway: &Arc<Gateway>,
        client: Client,
    ) -> (Running<IntakeError>, watch::Receiver<PollHealth>) {
        self.take_in_by(gateway, client, Arc::new(SystemClock), quick_intake())
    }

    pub fn take_in_by(
        &self,
        gateway: &Arc<Gateway>,
        client: Client,
        clock: Arc<dyn Clock>,
        config: IntakeConfig,
    ) -> (Running<IntakeError>, watch::Receiver<PollHealth>) {
        let stop = CancellationToken::new();
        let (health, watched) = watch::channel(PollHealth::default());
        let intake = Intake {
            client,
            store: self.store.clone(),
            reception: Arc::<Gateway>::clone(gateway),
            clock,
            dice: Arc::new(FreshDice),
            config,
            health,
        };
        let running = Running {
            task: tokio::spawn(intake::run(intake, stop.clone())),
            stop,
        };
        (running, watched)
    }
}

/// A worker under way. Dropped, it dies at once, as by SIGKILL.
pub struct Running<E = StoreError> {
    task: JoinHandle<Result<(), E>>,
    stop: CancellationToken,
}

impl<E: std::fmt::Debug> Running<E> {
    /// Orders it to stop and waits for that.
    pub async fn stop(mut self) {
        self.stop.cancel();
        tokio::time::timeout(DEADLINE, &mut self.task)
            .await
            .expect("it does not stop")
            .unwrap()
            .unwrap();
    }

    /// Waits until it ends by itself.
    #[allow(dead_code, reason = "only one of the two test programs has use for it")]
    pub async fn end(mut self) -> Result<(), E> {
        tokio::time::timeout(DEADLINE, &mut self.task)
            .await
            .expect("it goes on")
            .unwrap()
    }

    /// Ends it wherever it is.
    pub async fn kill(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }

    /// Waits until it has died by itself.
    #[allow(dead_code, reason = "only one of the two test programs has use for it")]
    pub async fn died(mut self) {
        let end = tokio::time::timeout(DEADLINE, &mut self.task)
            .await
            .expect("it lives");
        assert!(end.is_err(), "it ended well");
    }
}

impl<E> Drop for Running<E> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub fn client(api: &BotApi, token: &str) -> Client {
    client_by(api, token, DEADLINE, Arc::new(SystemClock))
}

fn client_by(api: &BotApi, token: &str, call_timeout: Duration, clock: Arc<dyn Clock>) -> Client {
    let mut options = ClientOptions::new(api.url().parse().unwrap());
    options.poll_timeout = Duration::from_secs(5);
    options.call_timeout = call_timeout;
    options.connect_timeout = Duration::from_secs(1);
    Client::new(BotToken::new(token).unwrap(), &options, clock).unwrap()
}

/// Short waits.
pub fn quick_intake() -> IntakeConfig {
    let quick = BackoffRule {
        base_ms: 20,
        factor: 1.5,
        cap_ms: 100,
        jitter: 0.2,
        stable_ms: 0,
    };
    IntakeConfig {
        backoff: quick,
        conflict: quick,
        unauthorized: quick,
        ..IntakeConfig::default()
    }
}

/// No pacing, short waits.
pub fn quick() -> DeliveryConfig {
    let waits = BackoffRule {
        base_ms: 10,
        factor: 1.5,
        cap_ms: 50,
        jitter: 0.2,
        stable_ms: 0,
    };
    DeliveryConfig {
        pacing: Live::new(PacingRule {
            chat_interval_ms: 0,
            chat_burst: 1,
            group_per_minute: 0,
            overall_per_second: 0,
        }),
        retry: waits,
        ambiguous: waits,
        outage: waits,
        refused: Duration::from_millis(50),
        ..DeliveryConfig::default()
    }
}

pub fn shown(text: &str) -> Shown {
    Shown {
        body: Formatted::plain(text),
        ..Shown::default()
    }
}

/// Waits until something is there.
pub async fn eventually<T, F: Future<Output = Option<T>>>(look: impl Fn() -> F) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, looking)
        .await
        .expect("it does not come")
}

/// Stands for the gateway: writes down what it is given.
#[derive(Default)]
pub struct Gateway {
    pub accepted: Mutex<Vec<(InboxId, Inbound)>>,
    pub news: Arc<Notify>,
    /// How many are taken before it stalls for ever.
    pub stall_after: Option<usize>,
    /// Whether messages that come alone are acted on at once; of [`BROKEN`] the transaction fails.
    pub admits: bool,
    pub admissions: Arc<Mutex<usize>>,
}

/// Text of a message that cannot be acted on.
pub const BROKEN: &str = "broken";

#[async_trait::async_trait]
impl Reception for Gateway {
    fn admit(&self, _bot_id: i64, inbound: &Inbound) -> Option<Admission> {
        let Inbound::Message(message) = inbound else {
            return None;
        };
        let text = message.text.clone();
        let (admissions, news) = (Arc::clone(&self.admissions), Arc::clone(&self.news));
        self.admits.then(|| -> Admission {
            Box::new(move |tx, id| {
                if text == BROKEN {
                    return Err(StoreError::Other("not this one".to_owned()));
                }
                tx.inbox_done(id, Verdict::Prompt, 1)?;
                Ok(Box::new(move || {
                    *admissions.lock().unwrap() += 1;
                    news.notify_waiters();
                }))
            })
        })
    }

    async fn accept(&self, id: InboxId, bot_id: i64, inbound: Inbound) {
        assert_eq!(bot_id, 4242);
        if self.stall_after.is_some_and(|most| self.count() >= most) {
            std::future::pending::<()>().await;
        }
        self.accepted.lock().unwrap().push((id, inbound));
        self.news.notify_waiters();
    }
}

impl Gateway {
    pub fn count(&self) -> usize {
        self.accepted.lock().unwrap().len()
    }

    /// Waits until so many have been taken.
    pub async fn taken(&self, count: usize) {
        self.until(|gateway| gateway.count() >= count).await;
    }

    /// Waits until so many have been acted on as they were entered.
    pub async fn admitted(&self, count: usize) {
        self.until(|gateway| *gateway.admissions.lock().unwrap() >= count)
            .await;
    }

    async fn until(&self, done: impl Fn(&Self) -> bool) {
        let waiting = async {
            loop {
                let mut news = std::pin::pin!(self.news.notified());
                // From here on, not only from the first poll: the news may come in between.
                news.as_mut().enable();
                if done(self) {
                    return;
                }
                news.await;
            }
        };
        tokio::time::timeout(DEADLINE, waiting)
            .await
            .unwrap_or_else(|_| panic!("only {:?}", self.accepted.lock().unwrap()));
    }

    /// Texts of the messages taken, in order.
    pub fn texts(&self) -> Vec<String> {
        let accepted = self.accepted.lock().unwrap();
        accepted
            .iter()
            .filter_map(|(_, inbound)| match inbound {
                Inbound::Message(message) => Some(message.text.clone()),
                _ => None,
            })
            .collect()
    }

    /// Marks everything taken so far as acted on.
    pub async fn act(&self, rig: &Rig) {
        let ids: Vec<InboxId> = self
            .accepted
            .lock()
            .unwrap()
            .iter()
            .map(|(id, _)| *id)
            .collect();
        rig.tx(move |tx| {
            ids.iter()
                .try_for_each(|id| tx.inbox_done(*id, Verdict::Ignored, now()))
        })
        .await;
    }
}
