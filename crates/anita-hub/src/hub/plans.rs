//! Floor plans: the hub hands them through to its store.

use anita_model::PlanId;
use anita_store::{Picture, PictureBytes, PictureChange, Plan};

use super::{Hub, HubFault};

impl Hub {
    /// All floor plans, in the order of their ids.
    ///
    /// # Errors
    /// A fault of the store; so for all of these.
    pub async fn plans(&self) -> Result<Vec<Plan>, HubFault> {
        self.past().told(self.store.plans().list().await)
    }

    /// The picture of a plan; `None` when there is no such plan, or no picture yet.
    pub async fn plan_picture(&self, id: PlanId) -> Result<Option<(Picture, PictureBytes)>, HubFault> {
        self.past().told(self.store.plans().picture(id).await)
    }

    /// Keeps a plan in the place of the one with its id; done when it survives a crash.
    pub async fn save_plan(&self, plan: Plan, picture: PictureChange) -> Result<(), HubFault> {
        self.past().told(self.store.plans().save(plan, picture).await)
    }

    /// Removes a plan with its picture.
    pub async fn remove_plan(&self, id: PlanId) -> Result<(), HubFault> {
        self.past().told(self.store.plans().remove(id).await)
    }
}
