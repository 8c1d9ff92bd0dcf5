//! What is told of a file on a volume: damage as losses, and what is worth knowing.

use ntbak_ntfs::{AttributeType, Problem};
use ntbak_wire::FileAttributes;
use ntbak_wire::reparse::{ReparseBuffer, ReparseTag};

use super::NtfsSource;
use crate::report::{FileReport, LossKind};
use crate::source::Facet;

impl NtfsSource {
    pub(super) fn tell(&self, about: Facet, report: &FileReport<'_>) {
        let counts = |kind: LossKind| {
            let has_no_place = matches!(
                kind,
                LossKind::Time | LossKind::Attribute | LossKind::Name | LossKind::ShortName | LossKind::Link
            );
            about == Facet::All || !has_no_place
        };
        for (stream, kind, why) in self.losses.iter().filter(|(_, kind, _)| counts(*kind)) {
            report.stream_loss(stream.as_ref(), *kind, why.clone());
        }
        for error in self.file.damage() {
            let kind = lost_by(&error.problem);
            if counts(kind) {
                report.loss(kind, format!("its records are damaged: {error}"));
            }
        }
        for (stream, what) in &self.notes {
            report.note(stream.as_ref(), what.clone());
        }
        self.tell_overlay(report);
        self.tell_other_attributes(report);
    }

    /// What filters of Windows have made of the file.
    fn tell_overlay(&self, report: &FileReport<'_>) {
        if let Some(algorithm) = self.wof {
            let what =
                format!("Windows has compressed it as a whole ({}); it is read as a plain file", algorithm);
            report.note(None, what);
            return;
        }
        let Ok(Some(bytes)) = self.file.reparse() else { return };
        let Ok(reparse) = ReparseBuffer::parse(&bytes) else { return };
        let tag = reparse.tag();
        let recall =
            FileAttributes::OFFLINE | FileAttributes::RECALL_ON_OPEN | FileAttributes::RECALL_ON_DATA_ACCESS;
        if tag == ReparseTag::DEDUP {
            let what =
                "its content is in the store of Data Deduplication on the volume; it is kept as it is stored";
            report.note(None, what);
        } else if tag.is_placeholder() && self.info.attributes.intersects(recall) {
            let what = format!("a placeholder ({tag}): its content is not on the volume, or not all of it");
            report.note(None, what);
        }
    }

    /// Attributes for which there is no place.
    fn tell_other_attributes(&self, report: &FileReport<'_>) {
        for attribute in self.file.all_streams() {
            let name = attribute.name().to_string();
            match attribute.kind() {
                AttributeType::LOGGED_UTILITY_STREAM if name == "$EFS" => {}
                AttributeType::LOGGED_UTILITY_STREAM if name == "$TXF_DATA" => {
                    report.note(
                        None,
                        "what transactions of NTFS keep of it ($TXF_DATA) means nothing elsewhere",
                    );
                }
                kind if is_known(kind) => {}
                kind => {
                    let why = format!("it has {kind} {name:?} of {} bytes", attribute.size());
                    report.loss(LossKind::OpaqueStream, why);
                }
            }
        }
    }
}

/// Whether an attribute of this type is read, or is a part of how NTFS stores a file.
fn is_known(kind: AttributeType) -> bool {
    matches!(
        kind,
        AttributeType::OBJECT_ID
            | AttributeType::SECURITY_DESCRIPTOR
            | AttributeType::VOLUME_NAME
            | AttributeType::VOLUME_INFORMATION
            | AttributeType::DATA
            | AttributeType::INDEX_ROOT
            | AttributeType::INDEX_ALLOCATION
            | AttributeType::BITMAP
            | AttributeType::REPARSE_POINT
            | AttributeType::EA_INFORMATION
            | AttributeType::EA
    )
}

/// What is lost by damage.
fn lost_by(problem: &Problem) -> LossKind {
    match problem {
        Problem::Lost { kind } => match *kind {
            AttributeType::STANDARD_INFORMATION => LossKind::Time,
            AttributeType::FILE_NAME => LossKind::Link,
            AttributeType::OBJECT_ID => LossKind::ObjectId,
            AttributeType::SECURITY_DESCRIPTOR => LossKind::Security,
            AttributeType::REPARSE_POINT => LossKind::Reparse,
            AttributeType::EA | AttributeType::EA_INFORMATION => LossKind::Ea,
            AttributeType::LOGGED_UTILITY_STREAM => LossKind::Efs,
            _ => LossKind::Content,
        },
        _ => LossKind::Content,
    }
}
