//! What is kept of a write is kept with it.
#![expect(clippy::unwrap_used, reason = "a broken contract fails the test")]

use linkspan_domain::{
    AuditEvent, Id, IdempotencyClaim, IdempotencyReply,
    ports::{Change, Claimed, StoreError},
};
use time::Duration;
use uuid::Uuid;

use super::Subject;
use crate::fixtures::{EPOCH, Specimen, receipts};

const AUDITED: u32 = 50;
const ANSWERED: u32 = 51;
const LOST: u32 = 52;

fn reply<R: Specimen>(claim: IdempotencyClaim, thing: &R) -> IdempotencyReply {
    IdempotencyReply { claim, resource_type: R::TYPE, resource_id: thing.id().uuid() }
}

pub(super) async fn a_write_leaves_an_audit_event<R: Specimen>(subject: &Subject<'_, R>) {
    let (receipt, change) = (subject.receipt(None), Change::Insert(subject.specimen(AUDITED)));
    subject.store.write(std::slice::from_ref(&change), &receipt).await.unwrap();
    let event = subject.audit.find(&receipts(), receipt.audit.id).await.unwrap();
    let kept = AuditEvent { link: event.as_ref().and_then(|it| it.link), ..receipt.audit };
    assert!(kept.link.is_some(), "it has a place in the chain");
    assert_eq!(event, Some(kept));

    // A write that fails leaves none.
    let receipt = subject.receipt(None);
    subject.store.write(&[change], &receipt).await.unwrap_err();
    assert_eq!(subject.audit.find(&receipts(), receipt.audit.id).await.unwrap(), None);
}

pub(super) async fn a_reply_is_kept_with_the_effect<R: Specimen>(subject: &Subject<'_, R>) {
    let thing = subject.specimen(ANSWERED);
    let claim = |token| {
        let store = subject.idempotency;
        store.claim("receipts", R::TYPE.into(), "print", Uuid::from_u128(token), EPOCH)
    };
    let Claimed::Fresh(held) = claim(1).await.unwrap() else { panic!("the key is taken") };
    assert_eq!(claim(2).await.unwrap(), Claimed::InFlight);
    let receipt = subject.receipt(Some(reply(held.clone(), &thing)));
    subject.store.write(&[Change::Insert(thing.clone())], &receipt).await.unwrap();
    assert_eq!(claim(3).await.unwrap(), Claimed::Done(R::TYPE, thing.id().uuid()));

    // Once is enough.
    let again = subject.receipt(Some(reply(held, &thing)));
    let refused = subject.store.write(&[], &again).await;
    assert!(matches!(refused, Err(StoreError::ClaimLost)), "{refused:?}");
}

pub(super) async fn a_lost_claim_undoes_the_write<R: Specimen>(subject: &Subject<'_, R>) {
    let thing = subject.specimen(LOST);
    let claim = |token, now| {
        let store = subject.idempotency;
        store.claim("lost receipts", R::TYPE.into(), "print", Uuid::from_u128(token), now)
    };
    let Claimed::Fresh(lost) = claim(1, EPOCH).await.unwrap() else { panic!("the key is taken") };
    let later = claim(2, EPOCH + Duration::hours(1)).await.unwrap();
    assert!(matches!(later, Claimed::Fresh(_)), "{later:?}");
    let receipt = subject.receipt(Some(reply(lost, &thing)));
    let refused = subject.store.write(&[Change::Insert(thing.clone())], &receipt).await;
    assert!(matches!(refused, Err(StoreError::ClaimLost)), "{refused:?}");
    assert_eq!(subject.find(thing.id()).await, None);
    assert_eq!(subject.audit.find(&receipts(), receipt.audit.id).await.unwrap(), None);
}
